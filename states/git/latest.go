package git

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/states/args"
	"github.com/brine-deploy/brine/states/state"
)

func latest(ctx context.Context, c *state.Call) state.Result {
	r, res, bad := read(c)
	if bad {
		return res
	}
	want, kind, err := r.remoteCommit(ctx)
	if err != nil {
		return args.Failed("Failed to check remote refs: %v", err)
	}
	if !r.isClone() {
		return r.fresh(ctx, want, kind)
	}
	return r.update(ctx, want, kind)
}

// fresh makes the clone.
func (r *repo) fresh(ctx context.Context, want, kind string) state.Result {
	blocked, err := r.room()
	switch {
	case err != nil:
		return args.Failed("%v", err)
	case blocked && !r.clone:
		return args.Failed("Target '%s' exists, is non-empty and is not a git repository. Set the 'force_clone' option to True to remove "+
			"this directory's contents and proceed with cloning the remote repository", r.dir)
	}
	changes := data.NewMap("new", fmt.Sprintf("%s => %s", r.shown(), r.dir))
	if r.c.Test {
		return args.Would(changes, "Repository %s would be cloned to %s", r.shown(), r.dir)
	}
	if blocked {
		if err := os.RemoveAll(r.dir); err != nil {
			return args.Failed("Unable to remove %s: %v", r.dir, err)
		}
	}
	var extra []string
	if kind == "branch" || kind == "tag" {
		extra = []string{"-b", r.rev}
	} else if !r.bare {
		extra = []string{"--no-checkout"}
	}
	if err := r.makeClone(ctx, extra...); err != nil {
		return args.Failed("Clone failed: %v", err)
	}
	if err := r.settle(ctx, want, kind); err != nil {
		return args.Failed("%v", err)
	}
	changes.Set("revision", data.NewMap("old", nil, "new", r.head1(ctx)))
	return args.Done(changes, "%s cloned to %s", r.shown(), r.dir)
}

// settle puts a new clone on its branch.
func (r *repo) settle(ctx context.Context, want, kind string) error {
	if r.bare {
		return nil
	}
	var err error
	switch branch := r.localBranch(ctx, kind); {
	case branch != "":
		_, err = r.git(ctx, "checkout", "-q", "-B", branch, want)
	case kind == "commit":
		_, err = r.git(ctx, "checkout", "-q", "--detach", want)
	case kind == "head":
		_, err = r.git(ctx, "checkout", "-q")
	}
	if err != nil {
		return err
	}
	return r.modules(ctx)
}

// localBranch is the branch that the clone should be on; empty for none of its own.
func (r *repo) localBranch(ctx context.Context, kind string) string {
	if r.branch != "" {
		return r.branch
	}
	if kind == "branch" {
		return r.rev
	}
	if kind == "head" {
		if name, err := r.git(ctx, "symbolic-ref", "-q", "--short", "HEAD"); err == nil {
			return name
		}
	}
	return ""
}

func (r *repo) modules(ctx context.Context) error {
	if !r.submodules {
		return nil
	}
	_, err := r.git(ctx, "submodule", "-q", "update", "--init", "--recursive")
	return err
}

// update brings a clone that is there to the wanted commit.
func (r *repo) update(ctx context.Context, want, kind string) state.Result {
	changes := data.NewMap()
	old := r.head1(ctx)
	url, _ := r.git(ctx, "remote", "get-url", r.remote)
	branch, _ := r.git(ctx, "rev-parse", "--abbrev-ref", "HEAD")
	wantBranch := r.localBranch(ctx, kind)
	if kind == "commit" && len(want) < len(old) && strings.HasPrefix(old, want) {
		want = old
	}
	if kind == "commit" || kind == "tag" {
		if sha, err := r.git(ctx, "rev-parse", "-q", "--verify", want+"^{commit}"); err == nil {
			want = sha
		}
	}
	if url != r.url {
		changes.Set("remotes/"+r.remote, data.NewMap("old", redacted(url), "new", r.shown()))
	}
	moved := old != want && (r.head || old == "")
	if moved {
		changes.Set("revision", data.NewMap("old", old, "new", want))
	}
	if !r.bare && wantBranch != "" && branch != wantBranch {
		changes.Set("local branch", data.NewMap("old", branch, "new", wantBranch))
	}
	dirty := false
	if !r.bare {
		out, err := r.git(ctx, "status", "--porcelain", "--untracked-files=no")
		if err != nil {
			return args.Failed("%v", err)
		}
		dirty = out != ""
	}
	_, switches := changes.Get("local branch")
	switch {
	case changes.Len() == 0 && (!dirty || !r.reset):
		return args.Fine("Repository %s is up-to-date", r.dir)
	case dirty && (moved || switches) && !r.reset && !r.clobber:
		return args.Failed("Repository would be updated to %s, but there are uncommitted changes. Set 'force_reset' to True (or 'remote-changes') "+
			"to force this update and discard these changes.", short(want))
	case r.c.Test:
		if dirty && r.reset {
			changes.Set("forced update", true)
		}
		return args.Would(changes, "Repository would be updated from %s to %s", short(old), short(want))
	}
	if err := r.move(ctx, want, kind, wantBranch, url, old, dirty); err != nil {
		return args.Failed("%v", err)
	}
	if dirty && r.reset {
		changes.Set("forced update", true)
	}
	return args.Done(changes, "Repository was updated from %s to %s", short(old), short(want))
}

func redacted(url string) string { return (&repo{url: url}).shown() }

func short(sha string) string { return sha[:min(7, len(sha))] }

func (r *repo) move(ctx context.Context, want, kind, branch, url, old string, dirty bool) error {
	if url != r.url {
		argv := []string{"remote", "set-url", r.remote, r.url}
		if url == "" {
			argv[1] = "add"
		}
		if _, err := r.git(ctx, argv...); err != nil {
			return err
		}
	}
	fetch := []string{"fetch", "-q", "--force"}
	if r.fetchTags {
		fetch = append(fetch, "--tags")
	}
	if r.depth > 0 {
		fetch = append(fetch, "--depth", fmt.Sprint(r.depth))
	}
	if r.bare {
		_, err := r.git(ctx, append(fetch, r.remote, "+refs/heads/*:refs/heads/*")...)
		return err
	}
	if _, err := r.git(ctx, append(fetch, r.remote)...); err != nil {
		return err
	}
	if kind == "commit" {
		sha, err := r.git(ctx, "rev-parse", "-q", "--verify", want+"^{commit}")
		if err != nil {
			return fmt.Errorf("no commit %s in the remote repository", want)
		}
		want = sha
	}
	if !r.reset && branch != "" && old != "" {
		if _, err := r.git(ctx, "merge-base", "--is-ancestor", "HEAD", want); err != nil {
			if at, _ := r.git(ctx, "rev-parse", "--abbrev-ref", "HEAD"); at == branch {
				return fmt.Errorf("Repository would be updated from %s to %s, but this is not a fast-forward merge. Set 'force_reset' to True "+ //nolint:staticcheck // Salt's words
					"to force this update", short(old), short(want))
			}
		}
	}
	if dirty {
		if _, err := r.git(ctx, "reset", "-q", "--hard"); err != nil {
			return err
		}
	}
	argv := []string{"checkout", "-q", "--detach", want}
	if branch != "" {
		argv = []string{"checkout", "-q", "-B", branch, want}
	}
	if r.clobber {
		argv = append(argv[:2:2], append([]string{"-f"}, argv[2:]...)...)
	}
	if _, err := r.git(ctx, argv...); err != nil {
		return err
	}
	return r.modules(ctx)
}
