// Package git keeps clones of repositories: Salt's git states, over the host's git.
package git

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/states/account"
	"github.com/brine-deploy/brine/states/args"
	"github.com/brine-deploy/brine/states/state"
	"github.com/brine-deploy/brine/states/tool"
)

// States are the functions of the family.
func States() state.Family {
	common := []string{"target", "rev", "branch", "user", "password", "remote", "depth", "submodules", "identity", "https_user", "https_pass", "output_encoding"}
	return state.Family{
		"latest": {
			Doc: "Makes a clone of a repository (name) in the directory target have the newest commit of rev, a branch, tag or commit. What was " +
				"changed there is kept, and the state fails, unless force_reset or force_checkout says otherwise.",
			Params: append([]string{
				"force_checkout", "force_reset", "force_clone", "force_fetch", "bare", "mirror", "fetch_tags", "sync_tags", "update_head", "refspec_branch",
				"refspec_tag", "unless", "onlyif",
			}, common...),
			Run: latest,
		},
		"cloned": {Doc: "Makes a clone of a repository (name) in the directory target, on a branch, and leaves it alone then.", Params: common, Run: cloned},
		"config_set": {
			Doc:    "Sets a value of git's configuration (name), of a repository, or of a user with global.",
			Params: []string{"value", "repo", "user", "global"}, Run: configSet,
		},
	}
}

// repo is one clone as it should be.
type repo struct {
	c               *state.Call
	url, dir        string
	rev, branch     string
	remote          string
	user            string
	depth           int64
	submodules      bool
	identity        []string
	bare            bool
	clobber         bool // force_checkout
	reset, clone    bool
	fetchTags, head bool
	env             []string
}

var revision = regexp.MustCompile(`^[A-Za-z0-9_@][A-Za-z0-9_./@{}^~+#-]*$`)

func read(c *state.Call) (*repo, state.Result, bool) {
	a := args.Of(c)
	r := &repo{
		c: c, url: c.Name, dir: strings.TrimRight(a.Need("target"), "/"), rev: a.Text("rev", "HEAD"), branch: a.Text("branch", ""), remote: a.Text("remote", "origin"),
		user: a.Text("user", ""), depth: a.Int("depth", 0), submodules: a.Bool("submodules", false), identity: a.List("identity"),
		bare: a.Bool("bare", false) || a.Bool("mirror", false), clobber: a.Bool("force_checkout", false), clone: a.Bool("force_clone", false),
		fetchTags: a.Bool("fetch_tags", true), head: a.Bool("update_head", true),
	}
	if v := a.Get("force_reset"); v == "remote-changes" {
		r.reset = true
	} else {
		r.reset = a.Bool("force_reset", false)
	}
	if strings.HasPrefix(r.url, "-") || strings.HasPrefix(r.url, "ext::") || strings.ContainsAny(r.url, "\r\n\x00") {
		a.Wrong("name: %q is no URL of a repository", r.url)
	}
	for what, name := range map[string]string{"rev": r.rev, "branch": r.branch, "remote": r.remote} {
		if name != "" && (!revision.MatchString(name) || strings.Contains(name, "..")) {
			a.Wrong("%s: %q is no name of one", what, name)
		}
	}
	user, pass := a.Text("https_user", ""), a.Text("https_pass", "")
	r.credentials(user, pass)
	if res, bad := a.Bad(); bad {
		return nil, res, true
	}
	if !filepath.IsAbs(r.dir) {
		return nil, args.Failed("target '%s' is not an absolute path", r.dir), true
	}
	if !tool.On(c).Has("git") {
		return nil, args.Failed("git is not installed"), true
	}
	return r, state.Result{}, false
}

// credentials gives git a user and a password by its environment, where other users of the host do not see them.
func (r *repo) credentials(user, pass string) {
	r.env = append(r.env, "GIT_TERMINAL_PROMPT=0")
	if user == "" {
		return
	}
	r.env = append(r.env, "BRINE_GIT_USER="+user, "BRINE_GIT_PASS="+pass, "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=credential.helper",
		`GIT_CONFIG_VALUE_0=!f() { echo "username=$BRINE_GIT_USER"; echo "password=$BRINE_GIT_PASS"; }; f`)
}

// shown is the URL without a password.
func (r *repo) shown() string {
	u, err := url.Parse(r.url)
	if err != nil || u.User == nil {
		return r.url
	}
	return u.Redacted()
}

// git runs git in the clone, or above it while there is none, as the user.
func (r *repo) git(ctx context.Context, argv ...string) (string, error) {
	cmd := tool.On(r.c).Cmd(ctx, "git", argv...)
	cmd.Env = append(cmd.Env, r.env...)
	if len(r.identity) > 0 {
		ssh := []string{"ssh", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes"}
		for _, one := range r.identity {
			ssh = append(ssh, "-i", "'"+strings.ReplaceAll(one, "'", `'\''`)+"'")
		}
		cmd.Env = append(cmd.Env, "GIT_SSH_COMMAND="+strings.Join(ssh, " "))
	}
	if info, err := os.Stat(r.dir); err == nil && info.IsDir() {
		cmd.Dir = r.dir
	} else {
		cmd.Dir = "/"
	}
	if err := r.become(ctx, cmd); err != nil {
		return "", err
	}
	out := tool.Finish(cmd)
	if !out.OK() {
		return "", fmt.Errorf("git %s: %s", argv[0], strings.ReplaceAll(out.Said(), r.url, r.shown()))
	}
	return strings.TrimSpace(out.Stdout), nil
}

func (r *repo) become(ctx context.Context, cmd *exec.Cmd) error {
	if r.user == "" {
		return nil
	}
	u, ok := account.DB{}.User(ctx, r.user)
	if !ok {
		return fmt.Errorf("user %s is not available", r.user)
	}
	cmd.Env = append(cmd.Env, "HOME="+u.Home, "USER="+u.Name)
	if u.UID != os.Geteuid() {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(u.UID), Gid: uint32(u.GID)}} //nolint:gosec // ids are not negative
	}
	return nil
}

// isClone reports whether the directory is a repository itself.
func (r *repo) isClone() bool {
	for _, name := range []string{".git", "HEAD"} {
		if _, err := os.Lstat(filepath.Join(r.dir, name)); err == nil {
			return true
		}
	}
	return false
}

// room sees whether there is room for a clone: no directory, or an empty one.
func (r *repo) room() (blocked bool, err error) {
	entries, err := os.ReadDir(r.dir)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look at %s: %w", r.dir, err)
	}
	return len(entries) > 0, nil
}

// remoteCommit asks the repository for the commit of a revision; empty when it has no such name.
func (r *repo) remoteCommit(ctx context.Context) (sha, kind string, err error) {
	out, err := r.git(ctx, "ls-remote", "--", r.url)
	if err != nil {
		return "", "", err
	}
	refs := map[string]string{}
	for line := range strings.Lines(out) {
		if sha, name, ok := strings.Cut(strings.TrimSpace(line), "\t"); ok {
			refs[name] = sha
		}
	}
	for _, one := range []struct{ ref, kind string }{
		{"refs/heads/" + r.rev, "branch"}, {"refs/tags/" + r.rev + "^{}", "tag"}, {"refs/tags/" + r.rev, "tag"}, {r.rev, "head"},
	} {
		if sha := refs[one.ref]; sha != "" {
			return sha, one.kind, nil
		}
	}
	if hexadecimal.MatchString(r.rev) {
		return r.rev, "commit", nil
	}
	return "", "", fmt.Errorf("no revision matching '%s' exists in the remote repository", r.rev)
}

var hexadecimal = regexp.MustCompile(`^[0-9a-f]{7,64}$`)

func (r *repo) head1(ctx context.Context) string {
	sha, err := r.git(ctx, "rev-parse", "--verify", "-q", "HEAD")
	if err != nil {
		return ""
	}
	return sha
}

func (r *repo) makeClone(ctx context.Context, extra ...string) error {
	if err := os.MkdirAll(filepath.Dir(r.dir), 0o755); err != nil { //nolint:gosec // others must get to it
		return fmt.Errorf("make room for the clone: %w", err)
	}
	if r.user != "" { // who may not be able to make the directory
		u, ok := account.DB{}.User(ctx, r.user)
		if !ok {
			return fmt.Errorf("user %s is not available", r.user)
		}
		if _, err := os.Stat(r.dir); err != nil {
			if err := os.Mkdir(r.dir, 0o755); err != nil { //nolint:gosec // as above
				return fmt.Errorf("make room for the clone: %w", err)
			}
			if err := os.Chown(r.dir, u.UID, u.GID); err != nil && os.Geteuid() == 0 {
				return fmt.Errorf("make room for the clone: %w", err)
			}
		}
	}
	argv := append([]string{"clone", "-q", "-o", r.remote}, extra...)
	if r.depth > 0 {
		argv = append(argv, "--depth", fmt.Sprint(r.depth))
	}
	if r.bare {
		argv = append(argv, "--bare")
	}
	_, err := r.git(ctx, append(argv, "--", r.url, r.dir)...)
	return err
}

func cloned(ctx context.Context, c *state.Call) state.Result {
	r, res, bad := read(c)
	if bad {
		return res
	}
	if r.isClone() {
		at, err := r.git(ctx, "rev-parse", "--abbrev-ref", "HEAD")
		if err != nil {
			return args.Failed("%v", err)
		}
		if r.branch == "" || at == r.branch {
			return args.Fine("Repository already exists at %s", r.dir)
		}
		if c.Test {
			return args.Would(data.NewMap("branch", data.NewMap("old", at, "new", r.branch)), "Branch would be changed to '%s'", r.branch)
		}
		if _, err := r.git(ctx, "checkout", "-q", r.branch); err != nil {
			return args.Failed("%v", err)
		}
		return args.Done(data.NewMap("branch", data.NewMap("old", at, "new", r.branch)), "Branch changed to '%s'", r.branch)
	}
	if blocked, err := r.room(); err != nil || blocked {
		return args.Failed("Target path '%s' is not empty and is no repository", r.dir)
	}
	changes := data.NewMap("new", fmt.Sprintf("%s => %s", r.shown(), r.dir))
	if c.Test {
		return args.Would(changes, "%s would be cloned to %s", r.shown(), r.dir)
	}
	var extra []string
	if r.branch != "" {
		extra = []string{"-b", r.branch}
	}
	if err := r.makeClone(ctx, extra...); err != nil {
		return args.Failed("Clone failed: %v", err)
	}
	return args.Done(changes, "%s cloned to %s", r.shown(), r.dir)
}

func configSet(ctx context.Context, c *state.Call) state.Result {
	a := args.Of(c)
	value, global := a.Need("value"), a.Bool("global", false)
	r := &repo{c: c, dir: a.Text("repo", ""), user: a.Text("user", "")}
	if !global && r.dir == "" {
		a.Wrong("Non-global config options require the 'repo' argument to be set")
	}
	if strings.HasPrefix(c.Name, "-") || !strings.Contains(c.Name, ".") {
		a.Wrong("name: %q is no key of git's configuration", c.Name)
	}
	if res, bad := a.Bad(); bad {
		return res
	}
	where := "--local"
	if global {
		where = "--global"
	}
	old, err := r.git(ctx, "config", where, "--get", c.Name)
	if err == nil && old == value {
		return args.Fine("'%s' is already set to '%s'", c.Name, value)
	}
	changes := data.NewMap("old", old, "new", value)
	if c.Test {
		return args.Would(changes, "'%s' would be set to '%s'", c.Name, value)
	}
	if _, err := r.git(ctx, "config", where, "--replace-all", c.Name, value); err != nil {
		return args.Failed("%v", err)
	}
	return args.Done(changes, "'%s' was set to '%s'", c.Name, value)
}
