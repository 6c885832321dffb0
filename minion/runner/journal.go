package runner

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// phase is how far a job went towards its revision. The package's comment has the picture.
type phase string

const (
	fetching   phase = "fetching"
	stopping   phase = "stopping"
	installing phase = "installing"
	activating phase = "activating"
	starting   phase = "starting"
	validated  phase = "validated"
)

// before reports whether p comes before other.
func (p phase) before(other phase) bool {
	order := []phase{fetching, stopping, installing, activating, starting, validated}
	return slices.Index(order, p) < slices.Index(order, other)
}

// journal is what a successor has to know when the minion dies inside the job. It is written before each step.
type journal struct {
	Job       fleet.JobID          `json:"job"`
	Order     fleet.ReleaseOrder   `json:"order"` // without its secrets
	Phase     phase                `json:"phase"`
	Reverting bool                 `json:"reverting,omitempty"` // for Reason
	Left      bool                 `json:"left,omitempty"`      // the minion was stopped between two scripts, or in one, and goes on when it is back
	Started   time.Time            `json:"started"`
	Old       string               `json:"old,omitempty"`    // id of the release that was live
	Release   string               `json:"release"`          // id of the new one
	Reused    bool                 `json:"reused,omitempty"` // the new one was kept from an earlier job
	Events    []fleet.EventResult  `json:"events"`
	Outcome   fleet.Outcome        `json:"outcome,omitempty"`
	Reason    string               `json:"reason,omitempty"`
	Result    *fleet.ReleaseResult `json:"result,omitempty"` // the job has ended
}

func newJournal(job fleet.JobID, order fleet.ReleaseOrder) *journal {
	order.Identity, order.URL = "", ""
	return &journal{Job: job, Order: order, Phase: fetching, Started: time.Now().UTC()}
}

func journalName(job fleet.JobID) string { return path.Join("jobs", string(job)+".json") }

func (r *Runner) save(j *journal) error { return writeJSON(r.state, journalName(j.Job), j) }

// unseen refuses a job that is known.
func (r *Runner) unseen(job fleet.JobID) error {
	if _, err := r.state.Stat(journalName(job)); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("job %s ran before and is not run again", job)
	}
	return nil
}

// journals returns those of all jobs that are not forgotten.
func (r *Runner) journals() ([]*journal, error) {
	entries, err := fs.ReadDir(r.state.FS(), "jobs")
	if err != nil {
		return nil, fmt.Errorf("list jobs: %w", err)
	}
	var out []*journal
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") || path.Ext(e.Name()) != ".json" {
			continue
		}
		j := &journal{}
		if err := readJSON(r.state, path.Join("jobs", e.Name()), j); errors.Is(err, fs.ErrNotExist) {
			continue // forgotten in this moment
		} else if err != nil {
			return nil, err
		}
		out = append(out, j)
	}
	return out, nil
}

// tidy bounds what is kept of jobs that have ended, in case nobody forgets them, and of their output.
func (r *Runner) tidy() {
	if err := errors.Join(r.keepNewest("jobs", keptJobs, r.hasEnded), r.keepNewest("logs", keptLogs, func(string) bool { return true })); err != nil {
		r.cfg.Log.Warn("state of old jobs not removed", "error", err)
	}
}

func (r *Runner) hasEnded(name string) bool {
	j := &journal{}
	return readJSON(r.state, name, j) == nil && j.Result != nil
}

func (r *Runner) keepNewest(dir string, keep int, mayGo func(name string) bool) error {
	entries, err := fs.ReadDir(r.state.FS(), dir)
	if err != nil || len(entries) <= keep {
		return err
	}
	changed := map[string]time.Time{}
	for _, e := range entries {
		if info, err := e.Info(); err == nil {
			changed[path.Join(dir, e.Name())] = info.ModTime()
		}
	}
	names := slices.SortedFunc(maps.Keys(changed), func(a, b string) int { return changed[b].Compare(changed[a]) })
	for _, name := range names[min(keep, len(names)):] {
		if mayGo(name) {
			err = errors.Join(err, r.state.RemoveAll(name))
		}
	}
	return err
}
