package master

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/brine-deploy/brine/master/balancer"
	"github.com/brine-deploy/brine/master/journal"
	"github.com/brine-deploy/brine/master/rollout"
	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/pkg/target"
	"github.com/brine-deploy/brine/pkg/yaml"
)

const (
	defaultTokenTTL = time.Hour
	pageSize        = 500
)

// routes is the API of pkg/fleet/api.go.
func (m *Master) routes() http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, h handler) { mux.HandleFunc(pattern, serveJSON(m.log, h)) }
	handle("POST /v1/deployments", m.postDeployment)
	handle("POST /v1/rollbacks", m.postRollback)
	handle("POST /v1/plan", m.postPlan)
	handle("POST /v1/tests", m.postTest)
	handle("GET /v1/deployments", m.getDeployments)
	handle("GET /v1/deployments/{id}", m.getDeployment)
	mux.HandleFunc("GET /v1/deployments/{id}/records", m.streamRecords)
	mux.HandleFunc("GET /v1/deployments/{id}/log", m.streamLog)
	handle("POST /v1/deployments/{id}/stop", m.postStop)
	handle("POST /v1/deployments/{id}/answer", m.postAnswer)
	handle("POST /v1/deployments/{id}/decide", m.postDecide)
	handle("GET /v1/locks", m.getLocks)
	handle("POST /v1/locks", m.postLock)
	handle("POST /v1/unlock", m.postUnlock)
	handle("GET /v1/revisions", m.getRevisions)
	handle("POST /v1/revisions/collect", m.postCollect)
	handle("GET /v1/diff", m.getDiff)
	handle("GET /v1/status", m.getStatus)
	handle("GET /v1/minions", m.getMinions)
	handle("GET /v1/minions/{id}/pillar", m.getPillar)
	handle("POST /v1/minions/{id}/drain", m.postDrain)
	handle("POST /v1/minions/{id}/undrain", m.postUndrain)
	handle("POST /v1/minions/{id}/leave", m.postLeave)
	handle("POST /v1/jobs", m.postJob)
	handle("GET /v1/jobs", m.getJobs)
	handle("GET /v1/jobs/{id}", m.getJob)
	handle("POST /v1/jobs/{id}/kill", m.postKill)
	mux.HandleFunc("GET /v1/jobs/{id}/returns", m.streamReturns)
	handle("GET /v1/keys", m.getKeys)
	handle("POST /v1/keys/{id}/{verb}", m.postKey)
	handle("POST /v1/tokens", m.postToken)
	handle("GET /v1/doctor", m.getDoctor)
	handle("GET /v1/master", m.getMaster)
	mux.HandleFunc("/", serveJSON(m.log, func(_ context.Context, r *http.Request) (any, error) {
		return nil, &fleet.Problem{Message: "unknown request " + r.Method + " " + r.URL.Path, Hint: "the CLI and the master may be of different versions", Exit: fleet.ExitUsage}
	}))
	return mux
}

func (m *Master) postDeployment(ctx context.Context, r *http.Request) (any, error) {
	req, err := decode[fleet.DeployRequest](r)
	if err != nil {
		return nil, err
	}
	return m.deployments.deploy(ctx, req, caller(ctx))
}

func (m *Master) postRollback(ctx context.Context, r *http.Request) (any, error) {
	req, err := decode[fleet.DeployRequest](r)
	if err != nil {
		return nil, err
	}
	return m.deployments.rollback(ctx, req, caller(ctx))
}

func (m *Master) postPlan(ctx context.Context, r *http.Request) (any, error) {
	req, err := decode[fleet.DeployRequest](r)
	if err != nil {
		return nil, err
	}
	return m.deployments.plan(ctx, req)
}

func (m *Master) getDeployments(ctx context.Context, r *http.Request) (any, error) {
	q := r.URL.Query()
	limit, err := strconv.Atoi(q.Get("limit"))
	if err != nil || limit < 1 {
		limit = 20
	}
	list, err := m.journal.Deployments(ctx, journal.Filter{App: fleet.AppName(q.Get("app")), Group: fleet.GroupName(q.Get("group")), Limit: limit})
	return notNil(list), err
}

func (m *Master) getDeployment(ctx context.Context, r *http.Request) (any, error) {
	return m.deployment(ctx, r)
}

func (m *Master) deployment(ctx context.Context, r *http.Request) (*fleet.Deployment, error) {
	id := fleet.DeploymentID(r.PathValue("id"))
	d, err := m.journal.Deployment(ctx, id)
	if errors.Is(err, journal.ErrNotFound) {
		return d, unknownDeployment(id)
	}
	return d, err
}

func unknownDeployment(id fleet.DeploymentID) error {
	return &fleet.Problem{Message: fmt.Sprintf("unknown deployment %q", id), Hint: "brine history lists them", Exit: fleet.ExitUsage}
}

func (m *Master) streamRecords(w http.ResponseWriter, r *http.Request) {
	after, _ := strconv.ParseUint(r.URL.Query().Get("after"), 10, 64)
	stream(w, r, m.journal.Changed, func(ctx context.Context) ([]fleet.Record, bool, error) {
		d, err := m.deployment(ctx, r)
		if err != nil {
			return nil, false, err
		}
		records, err := m.journal.AfterOf(ctx, d.ID, after, pageSize)
		if len(records) > 0 {
			after = records[len(records)-1].Seq
		}
		return records, d.Status.Ended() && len(records) < pageSize, err
	})
}

func (m *Master) getRevisions(ctx context.Context, r *http.Request) (any, error) {
	app := fleet.AppName(r.URL.Query().Get("app"))
	if _, err := m.apps.get(app, ""); err != nil {
		return nil, err
	}
	list, err := m.journal.Revisions(ctx, app)
	return notNil(list), err
}

func (m *Master) getMinions(_ context.Context, r *http.Request) (any, error) {
	expr := r.URL.Query().Get("target")
	if expr == "" {
		expr = "*"
	}
	list, err := m.roster.match(expr)
	for i := range list {
		list[i].Vitals = m.roster.presence.vitals(list[i].ID)
	}
	return notNil(list), err
}

func (m *Master) postDrain(ctx context.Context, r *http.Request) (any, error) {
	return m.deployments.drain(ctx, fleet.MinionID(r.PathValue("id")))
}

func (m *Master) postUndrain(ctx context.Context, r *http.Request) (any, error) {
	groups, err := m.deployments.undrain(ctx, fleet.MinionID(r.PathValue("id")))
	return fleet.Drained{Minion: fleet.MinionID(r.PathValue("id")), Pools: notNil(groups)}, err
}

func (m *Master) getKeys(ctx context.Context, _ *http.Request) (any, error) {
	list, err := m.keyring.List(ctx)
	return notNil(list), err
}

func (m *Master) postKey(ctx context.Context, r *http.Request) (any, error) {
	id := fleet.MinionID(r.PathValue("id"))
	var key fleet.MinionKey
	var err error
	switch verb := r.PathValue("verb"); verb {
	case "accept":
		key, err = m.keyring.Accept(ctx, id, fleet.Fingerprint(r.URL.Query().Get("fingerprint")), caller(ctx))
	case "reject":
		key, err = m.keyring.Reject(ctx, id, caller(ctx))
	case "revoke":
		key, err = m.keyring.Revoke(ctx, id, caller(ctx))
	default:
		err = fmt.Errorf("unknown verb %q; known: accept, reject, revoke", verb)
	}
	if err != nil {
		return nil, usage(err)
	}
	return key, nil
}

func (m *Master) postToken(ctx context.Context, r *http.Request) (any, error) {
	req, err := decode[fleet.TokenRequest](r)
	if err != nil {
		return nil, err
	}
	return m.keyring.NewToken(ctx, req.TTL.Or(defaultTokenTTL), max(1, req.Uses), caller(ctx))
}

func (m *Master) getMaster(context.Context, *http.Request) (any, error) {
	return fleet.MasterInfo{
		Version: m.version, Bus: m.bus.Addr().String(), MasterKey: m.masterKey.String(), Fingerprint: m.masterKey.Bus.Fingerprint(),
	}, nil
}

func (m *Master) getStatus(ctx context.Context, _ *http.Request) (any, error) {
	minions, err := m.roster.match("*")
	if err != nil {
		return nil, err
	}
	keys, err := m.keyring.List(ctx)
	if err != nil {
		return nil, err
	}
	apps, err := m.apps.list()
	if err != nil {
		return nil, err
	}
	status := fleet.Status{Minions: len(minions), Groups: []fleet.GroupStatus{}}
	for _, minion := range minions {
		if minion.Connected {
			status.Connected++
		}
	}
	for _, k := range keys {
		if k.State == fleet.KeyPending {
			status.Pending++
		}
	}
	for _, app := range apps {
		for name, group := range app.Groups {
			g, err := m.groupStatus(ctx, app.Name, name, *group)
			if err != nil {
				return nil, err
			}
			status.Groups = append(status.Groups, g)
		}
	}
	slices.SortFunc(status.Groups, func(a, b fleet.GroupStatus) int {
		return strings.Compare(string(a.App)+"/"+string(a.Group), string(b.App)+"/"+string(b.Group))
	})
	return status, nil
}

func (m *Master) groupStatus(ctx context.Context, app fleet.AppName, name fleet.GroupName, group fleet.Group) (fleet.GroupStatus, error) {
	out := fleet.GroupStatus{App: app, Group: name, Minions: []fleet.GroupMinion{}}
	digest, err := m.deployments.target(ctx, app, name)
	if err != nil {
		return out, err
	}
	if digest != "" {
		revision, err := m.journal.Revision(ctx, app, digest)
		if err != nil {
			return out, fmt.Errorf("revision %s: %w", digest.Short(), err)
		}
		out.Target = &revision
	}
	recent, err := m.journal.Deployments(ctx, journal.Filter{App: app, Group: name, Limit: 20})
	if err != nil {
		return out, err
	}
	for _, d := range recent {
		switch {
		case d.Kind == fleet.KindNewcomer:
		case !d.Status.Ended() && out.Running == nil:
			out.Running = d
		case d.Status.Ended() && out.Last == nil:
			out.Last = d
		}
	}
	candidates, err := m.roster.candidates(ctx, app, group, name)
	if err != nil {
		return out, err
	}
	members, err := m.members(ctx, group)
	if err != nil {
		out.PoolError = err.Error()
	}
	for _, c := range candidates {
		out.Minions = append(out.Minions, groupMinion(c, group, members))
	}
	return out, nil
}

func (m *Master) members(ctx context.Context, group fleet.Group) (map[string]balancer.Status, error) {
	if group.Balancer == nil {
		return nil, nil
	}
	b, ok := m.rollout.Balancers[group.Balancer.Use]
	if !ok {
		return nil, fmt.Errorf("master.yml has no balancer %q", group.Balancer.Use)
	}
	return b.Members(ctx, group.Balancer.Pool)
}

func groupMinion(c rollout.Candidate, group fleet.Group, members map[string]balancer.Status) fleet.GroupMinion {
	out := fleet.GroupMinion{Minion: c.Minion.ID, Connected: c.Minion.Connected, Drained: c.Minion.Drained, Live: c.Live}
	if group.Balancer == nil {
		return out
	}
	out.Pool = string(balancer.Out)
	if members == nil {
		out.Pool = "unknown" // the balancer could not be asked
		return out
	}
	if member, err := rollout.MemberOf(*group.Balancer, c.Minion); err == nil {
		if status, ok := members[member.Name]; ok {
			out.Pool = string(status)
		}
	}
	return out
}

// isUserFile reports whether err is about what a user wrote: a target or a YAML file.
func isUserFile(err error) bool {
	var syntax *target.SyntaxError
	var file *yaml.Error
	var files yaml.Errors
	return errors.As(err, &syntax) || errors.As(err, &file) || errors.As(err, &files)
}

// notNil makes an empty list of a nil one, so that JSON shows [].
func notNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
