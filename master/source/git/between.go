package git

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/brine-deploy/brine/master/source"
	"github.com/brine-deploy/brine/pkg/fleet"
)

var _ source.Historian = (*Git)(nil)

// Between implements source.Historian from the mirror alone.
func (g *Git) Between(ctx context.Context, from, to string, limit int) (commits []fleet.Origin, files []string, err error) {
	for _, commit := range []string{from, to} {
		if !fullCommit.MatchString(commit) || !g.knows(ctx, commit) {
			return nil, nil, fmt.Errorf("commit %s of %s is not known here", commit, redact(g.url))
		}
	}
	out, err := g.git(ctx, "log", "-n", strconv.Itoa(limit), "--no-show-signature", "--no-patch", "--encoding=UTF-8",
		"--format=%H%x00%an <%ae>%x00%s%x00%cI", from+".."+to)
	if err != nil {
		return nil, nil, err
	}
	for line := range strings.Lines(out) {
		fields := strings.Split(strings.TrimRight(line, "\n"), "\x00")
		if len(fields) != 4 {
			return nil, nil, fmt.Errorf("git log of %s..%s: unexpected answer %q", from, to, line)
		}
		when, err := time.Parse(time.RFC3339, fields[3])
		if err != nil {
			return nil, nil, fmt.Errorf("git log of %s: %w", fields[0], err)
		}
		commits = append(commits, fleet.Origin{Commit: fields[0], Author: fields[1], Subject: fields[2], Time: when.UTC()})
	}
	out, err = g.git(ctx, "diff-tree", "-r", "-z", "--name-only", "--no-renames", from, to)
	if err != nil {
		return nil, nil, err
	}
	files = strings.FieldsFunc(out, func(r rune) bool { return r == 0 })
	slices.Sort(files)
	return commits, files, nil
}
