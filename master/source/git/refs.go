package git

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/brine-deploy/brine/master/source"
)

var (
	fullCommit  = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)
	shortCommit = regexp.MustCompile(`^[0-9a-f]{4,64}$`)
	// simpleRef is narrower than git check-ref-format; what it leaves out (x^, a..b, @{1}) has a meaning of its own to git.
	simpleRef = regexp.MustCompile(`^[^-\x00-\x20\x7f~^:?*[\\@.][^\x00-\x20\x7f~^:?*[\\]*$`)
)

// knows reports whether the mirror has a commit.
func (g *Git) knows(ctx context.Context, commit string) bool {
	_, err := g.git(ctx, "cat-file", "-e", commit+"^{commit}")
	return err == nil
}

// head asks the remote for its default branch, or commit when its HEAD is detached.
func (g *Git) head(ctx context.Context) (string, error) {
	out, err := g.git(ctx, "ls-remote", "--symref", "origin", "HEAD")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(out) {
		what, name, _ := strings.Cut(strings.TrimSpace(line), "\t")
		if branch, ok := strings.CutPrefix(what, "ref: refs/heads/"); ok && name == "HEAD" {
			return branch, nil
		}
		if fullCommit.MatchString(what) && name == "HEAD" {
			return what, nil
		}
	}
	return "", fmt.Errorf("%w: the repository %s has no default branch: name a ref", source.ErrUnknownRef, redact(g.url))
}

// find gives the commit that ref means: a tag, a branch or a full ref name, in git's own order, or a commit. The caller
// holds the lock, and the mirror is fresh.
func (g *Git) find(ctx context.Context, ref string) (string, error) {
	if !simpleRef.MatchString(ref) || strings.Contains(ref, "..") || strings.Contains(ref, "@{") {
		return "", g.unknown(ctx, ref)
	}
	names := []string{"refs/tags/" + ref, "refs/heads/" + ref}
	if strings.HasPrefix(ref, "refs/") {
		names = append(names, ref)
	}
	if shortCommit.MatchString(ref) {
		names = append(names, ref)
	}
	for _, name := range names {
		commit, err := g.git(ctx, "rev-parse", "--verify", "--quiet", "--end-of-options", name+"^{commit}")
		if err == nil {
			return commit, nil
		}
		if ctx.Err() != nil {
			return "", err
		}
	}
	// Many servers give a commit that no branch has any more to who knows its name.
	if fullCommit.MatchString(ref) {
		if _, err := g.git(ctx, "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "origin", "+"+ref+":refs/brine/"+ref); err == nil {
			return ref, nil
		}
	}
	return "", g.unknown(ctx, ref)
}

// shown is how many refs an error names.
const shown = 5

// unknown says that there is no such ref, and names those that look most like it; of equals the newest.
func (g *Git) unknown(ctx context.Context, ref string) error {
	out, err := g.git(ctx, "for-each-ref", "--sort=-creatordate", "--format=%(refname:lstrip=2)", "refs/heads", "refs/tags")
	if err != nil {
		return err
	}
	names := strings.Fields(out)
	slices.SortStableFunc(names, func(a, b string) int { return distance(a, ref) - distance(b, ref) })
	names = slices.Compact(names)
	list := strings.Join(names[:min(shown, len(names))], ", ")
	switch {
	case len(names) == 0:
		return fmt.Errorf("%w %q: the repository %s is empty", source.ErrUnknownRef, ref, redact(g.url))
	case len(names) > shown:
		list += fmt.Sprintf(" and %d more", len(names)-shown)
	}
	return fmt.Errorf("%w %q in %s; it has %s", source.ErrUnknownRef, ref, redact(g.url), list)
}

// distance is Levenshtein's: how many bytes to insert, delete or replace.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
