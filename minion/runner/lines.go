package runner

import (
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/brine-deploy/brine/minion/process"
	"github.com/brine-deploy/brine/pkg/fleet"
)

// Lines gives what the scripts of a job have said since the last call with the same map, which the caller keeps: at most so
// many bytes of each, the newest. A job without output gives none. The job may be running, ended or long gone.
func (r *Runner) Lines(job fleet.JobID, at map[string]int64, limit int) []fleet.LogLine {
	if !fleet.ValidName(string(job)) {
		return nil
	}
	dir := path.Join("logs", string(job))
	entries, err := fs.ReadDir(r.state.FS(), dir)
	if err != nil {
		return nil
	}
	var out []fleet.LogLine
	for _, e := range entries {
		script, ok := strings.CutSuffix(e.Name(), ".log")
		if !ok {
			continue
		}
		lines, next, left, err := process.ReadLog(filepath.Join(r.cfg.StateDir, dir, e.Name()), at[script], process.StampLayout, limit)
		if err != nil {
			continue // gone in this moment
		}
		at[script] = next
		line := fleet.LogLine{Minion: r.cfg.Minion, Job: job, Script: script, Time: time.Now()}
		if left > 0 {
			line.Text = fmt.Sprintf("[brine: %d bytes are left out here]", left)
			out = append(out, line)
		}
		for _, l := range lines {
			line.Time, line.Text = l.Time, l.Text
			out = append(out, line)
		}
	}
	return out
}
