// Package gate asks what neither returns nor balancers tell: health checks of one minion's service, and alarms of the
// application as a whole.
package gate

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/brine-deploy/brine/master/rollout"
	"github.com/brine-deploy/brine/pkg/fleet"
)

const (
	defaultInterval = time.Second
	defaultTimeout  = time.Minute
	oneTry          = 10 * time.Second
	maxAnswer       = 1 << 20
	shown           = 200 // bytes of a script's output that are told
)

// CloudWatch reads the state of one CloudWatch alarm: OK, ALARM or INSUFFICIENT_DATA, and its reason.
type CloudWatch func(ctx context.Context, region, name string) (state, reason string, err error)

// Gate asks. Its methods may be called concurrently.
type Gate struct {
	HTTP       *http.Client
	CloudWatch CloudWatch // nil: alarms of CloudWatch are unknown
}

var _ rollout.Gate = (*Gate)(nil)

// New makes a Gate whose requests follow no redirect to another host's secrets and reuse no connection of a minion that
// was replaced meanwhile.
func New() *Gate {
	return &Gate{HTTP: &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true, Proxy: http.ProxyFromEnvironment},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Check tries a health check until it has passed as often as it must, one time after the other.
func (g *Gate) Check(ctx context.Context, check fleet.HealthCheck, minion fleet.Minion) error {
	try, name, err := g.try(check, minion)
	if err != nil {
		return err
	}
	limit := check.Timeout.Or(defaultTimeout)
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	passed, want := 0, max(1, check.Successes)
	last := errors.New("it was not asked")
	for ctx.Err() == nil {
		tctx, done := context.WithTimeout(ctx, oneTry)
		err := try(tctx)
		done()
		if err == nil {
			if passed++; passed == want {
				return nil
			}
		} else {
			if ctx.Err() == nil || passed > 0 {
				last = err
			}
			passed = 0
		}
		pause(ctx, check.Interval.Or(defaultInterval))
	}
	return fmt.Errorf("%s did not pass %d times in a row within %s: %w", name, want, limit, last)
}

func (g *Gate) try(check fleet.HealthCheck, minion fleet.Minion) (try func(context.Context) error, name string, err error) {
	switch {
	case check.HTTP != "":
		name, err = rollout.Expand(check.HTTP, minion)
		return func(ctx context.Context) error { return g.get(ctx, name) }, name, err
	case check.TCP != "":
		name, err = rollout.Expand(check.TCP, minion)
		return func(ctx context.Context) error { return dial(ctx, name) }, name, err
	default:
		argv := make([]string, len(check.Script))
		for i, arg := range check.Script {
			if argv[i], err = rollout.Expand(arg, minion); err != nil {
				return nil, "", err
			}
		}
		if len(argv) == 0 {
			return nil, "", errors.New("the check has neither http, tcp nor script")
		}
		return func(ctx context.Context) error { return run(ctx, argv) }, argv[0], nil
	}
}

func (g *Gate) get(ctx context.Context, link string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, link, nil)
	if err != nil {
		return err
	}
	resp, err := g.HTTP.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, maxAnswer)
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("it answered %s", resp.Status)
	}
	return nil
}

func dial(ctx context.Context, address string) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return conn.Close()
}

// run runs a script in a process group of its own, so that nothing of it is left when its time is over.
func run(ctx context.Context, argv []string) error {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	out := &head{}
	cmd.Stdout, cmd.Stderr = out, out
	err := cmd.Run()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if text := strings.TrimSpace(out.kept.String()); err != nil && text != "" {
		return fmt.Errorf("%w: %s", err, strings.Join(strings.Fields(text), " "))
	}
	return err
}

// head keeps the beginning of what is written. It does not embed its buffer, whose ReadFrom knows no limit.
type head struct{ kept bytes.Buffer }

func (h *head) Write(p []byte) (int, error) {
	if room := shown - h.kept.Len(); room > 0 {
		_, _ = h.kept.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

// Ask reads an alarm once.
func (g *Gate) Ask(ctx context.Context, a fleet.Alarm) rollout.Reading {
	ctx, cancel := context.WithTimeout(ctx, oneTry)
	defer cancel()
	r := rollout.Reading{Name: a.Name}
	switch {
	case a.URL != "":
		r.State, r.Detail = g.askURL(ctx, a.URL)
	case a.Prometheus != "":
		r.State, r.Detail = g.askPrometheus(ctx, a)
	case g.CloudWatch == nil:
		r.Detail = "this master cannot ask CloudWatch"
	default:
		r.State, r.Detail = g.askCloudWatch(ctx, a)
	}
	return r
}

func (g *Gate) askURL(ctx context.Context, link string) (rollout.AlarmState, string) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, link, nil)
	if err != nil {
		return rollout.Unknown, err.Error()
	}
	resp, err := g.HTTP.Do(req)
	if err != nil {
		return rollout.Unknown, err.Error()
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, shown))
	detail := strings.TrimSpace(resp.Status + " " + strings.Join(strings.Fields(string(body)), " "))
	switch resp.StatusCode / 100 {
	case 2:
		return rollout.Quiet, resp.Status
	case 4, 5:
		return rollout.Sounds, detail
	default:
		return rollout.Unknown, detail
	}
}

// instant is the answer of Prometheus's /api/v1/query,
// https://prometheus.io/docs/prometheus/latest/querying/api/#instant-queries.
type instant struct {
	Status string `json:"status"`
	Error  string `json:"error"`
	Data   struct {
		Type   string          `json:"resultType"`
		Result json.RawMessage `json:"result"`
	} `json:"data"`
}

func (g *Gate) askPrometheus(ctx context.Context, a fleet.Alarm) (rollout.AlarmState, string) {
	values, err := g.query(ctx, a)
	if err != nil {
		return rollout.Unknown, err.Error()
	}
	if len(values) == 0 {
		return rollout.Unknown, "the query gives no data"
	}
	for _, v := range values {
		switch {
		case v != v:
			return rollout.Unknown, "the query gives NaN"
		case a.Above != nil && v > *a.Above:
			return rollout.Sounds, fmt.Sprintf("%v is above %v", v, *a.Above)
		case a.Below != nil && v < *a.Below:
			return rollout.Sounds, fmt.Sprintf("%v is below %v", v, *a.Below)
		}
	}
	return rollout.Quiet, fmt.Sprint(values)
}

func (g *Gate) query(ctx context.Context, a fleet.Alarm) ([]float64, error) {
	link, err := url.JoinPath(a.Prometheus, "api/v1/query")
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, link+"?"+url.Values{"query": {a.Query}}.Encode(), nil)
	if err != nil {
		return nil, err
	}
	resp, err := g.HTTP.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var answer instant
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(&answer); err != nil {
		return nil, fmt.Errorf("prometheus answered %s: %w", resp.Status, err)
	}
	if answer.Status != "success" {
		return nil, fmt.Errorf("prometheus answered %s: %s", resp.Status, cmp.Or(answer.Error, "no success"))
	}
	return samples(answer)
}

// samples takes the values out of a vector or a scalar.
func samples(answer instant) ([]float64, error) {
	type sample [2]any
	var list []sample
	switch answer.Data.Type {
	case "scalar":
		var one sample
		if err := json.Unmarshal(answer.Data.Result, &one); err != nil {
			return nil, fmt.Errorf("decode scalar: %w", err)
		}
		list = []sample{one}
	case "vector":
		var series []struct{ Value sample }
		if err := json.Unmarshal(answer.Data.Result, &series); err != nil {
			return nil, fmt.Errorf("decode vector: %w", err)
		}
		for _, s := range series {
			list = append(list, s.Value)
		}
	default:
		return nil, fmt.Errorf("the query gives a %s; a number for each series is wanted", answer.Data.Type)
	}
	values := make([]float64, len(list))
	for i, s := range list {
		text, _ := s[1].(string)
		var err error
		if values[i], err = strconv.ParseFloat(text, 64); err != nil {
			return nil, fmt.Errorf("decode sample: %w", err)
		}
	}
	return values, nil
}

func (g *Gate) askCloudWatch(ctx context.Context, a fleet.Alarm) (rollout.AlarmState, string) {
	state, reason, err := g.CloudWatch(ctx, a.Region, a.CloudWatch)
	switch {
	case err != nil:
		return rollout.Unknown, err.Error()
	case state == "OK":
		return rollout.Quiet, reason
	case state == "ALARM":
		return rollout.Sounds, reason
	default:
		return rollout.Unknown, strings.TrimSpace(state + " " + reason)
	}
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
