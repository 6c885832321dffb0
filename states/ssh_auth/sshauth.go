// Package sshauth keeps the keys that may log in as a user: Salt's ssh_auth states.
package sshauth

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/states/account"
	"github.com/brine-deploy/brine/states/args"
	"github.com/brine-deploy/brine/states/conffile"
	"github.com/brine-deploy/brine/states/fetch"
	"github.com/brine-deploy/brine/states/state"
)

// States are the functions of the family.
func States() state.Family { return family{}.states() }

type family struct{ db account.DB }

func (f family) states() state.Family {
	common := []string{"user", "enc", "comment", "source", "options", "config", "fingerprint_hash_type"}
	return state.Family{
		"present": {Doc: "Makes keys (name, or the lines of source) able to log in as a user.", Params: common, Run: f.run(true)},
		"absent":  {Doc: "Makes keys unable to log in as a user.", Params: common, Run: f.run(false)},
		"manage": {
			Doc:    "Makes ssh_keys the only keys that can log in as a user.",
			Params: []string{"ssh_keys", "user", "enc", "comment", "source", "options", "config"}, Run: f.manage,
		},
	}
}

// key is one line of authorized_keys.
type key struct{ options, kind, blob, comment string }

func (k key) String() string {
	line := k.kind + " " + k.blob
	if k.options != "" {
		line = k.options + " " + line
	}
	if k.comment != "" {
		line += " " + k.comment
	}
	return line
}

var kinds = regexp.MustCompile(`(^|[ \t])((?:sk-)?(?:ssh|ecdsa)-[A-Za-z0-9@.-]+)[ \t]+([A-Za-z0-9+/]+=*)(?:[ \t]+(.*))?$`)

// parse reads a whole line.
func parse(line string) (key, bool) {
	line = strings.TrimSpace(line)
	if line == "" || strings.HasPrefix(line, "#") {
		return key{}, false
	}
	m := kinds.FindStringSubmatchIndex(line)
	if m == nil {
		return key{}, false
	}
	k := key{options: strings.TrimSpace(line[:m[0]]), kind: line[m[4]:m[5]], blob: line[m[6]:m[7]]}
	if m[8] >= 0 {
		k.comment = line[m[8]:m[9]]
	}
	return k, true
}

var base64Text = regexp.MustCompile(`^[A-Za-z0-9+/]{16,}={0,3}$`)

var encodings = map[string]string{ //nolint:gochecknoglobals // a table
	"r": "ssh-rsa", "rsa": "ssh-rsa", "d": "ssh-dss", "dss": "ssh-dss", "dsa": "ssh-dss", "e": "ecdsa-sha2-nistp256", "ecdsa": "ecdsa-sha2-nistp256",
	"ed": "ssh-ed25519", "ed25519": "ssh-ed25519",
}

// wanted is what a state says.
type wanted struct {
	keys     []key
	file     string
	uid, gid int
	user     string
}

// one reads a name: a whole line, or the base64 text alone.
func one(a *args.Reader, text string) (key, bool) {
	if k, ok := parse(text); ok {
		return k, true
	}
	blob, comment, _ := strings.Cut(strings.TrimSpace(text), " ")
	kind := a.Text("enc", "ssh-rsa")
	if long, ok := encodings[strings.ToLower(kind)]; ok {
		kind = long
	}
	if !base64Text.MatchString(blob) || strings.ContainsAny(kind, " \t\r\n") {
		return key{}, false
	}
	return key{kind: kind, blob: blob, comment: comment}, true
}

func (f family) read(ctx context.Context, c *state.Call, texts []string) (w wanted, res state.Result, stop bool) {
	a := args.Of(c)
	w.user = a.Text("user", "")
	if w.user == "" {
		a.Wrong("Missing parameter user")
	}
	source, config, comment := a.Text("source", ""), a.Text("config", "%h/.ssh/authorized_keys"), a.Text("comment", "")
	options := strings.Join(a.List("options"), ",")
	a.Text("fingerprint_hash_type", "")
	a.Text("enc", "")
	if strings.ContainsAny(options+comment, "\r\n") {
		a.Wrong("options, comment: they have a newline")
	}
	if res, bad := a.Bad(); bad {
		return w, res, true
	}
	if source != "" {
		lines, err := sourceLines(ctx, c.Host, source)
		if err != nil {
			return w, args.Failed("Failed to get keys of %s: %v", source, err), true
		}
		texts = lines
	}
	for _, text := range texts {
		k, ok := one(a, text)
		if !ok {
			return w, args.Failed("%q is no public key", text), true
		}
		if options != "" {
			k.options = options
		}
		if comment != "" && k.comment == "" {
			k.comment = comment
		}
		w.keys = append(w.keys, k)
	}
	u, ok := f.db.User(ctx, w.user)
	if !ok {
		if c.Test {
			return w, args.Would(nil, "User %s does not exist yet; keys would be changed for it", w.user), true
		}
		return w, args.Failed("Failed to add the ssh key: user %s does not exist", w.user), true
	}
	w.uid, w.gid = u.UID, u.GID
	w.file = strings.NewReplacer("%u", u.Name, "%h", u.Home, "%%", "%").Replace(config)
	if !filepath.IsAbs(w.file) {
		w.file = filepath.Join(u.Home, w.file)
	}
	return w, res, false
}

func sourceLines(ctx context.Context, h *state.Host, source string) ([]string, error) {
	blob, err := fetch.Get(ctx, h, source, fetch.Sum{})
	if err != nil {
		return nil, err
	}
	defer blob.Close()
	text, err := blob.Bytes(1 << 20)
	if err != nil {
		return nil, err
	}
	var lines []string
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			lines = append(lines, line)
		}
	}
	if len(lines) == 0 {
		return nil, errors.New("it holds none")
	}
	return lines, nil
}

// edit gives the file with keys in it, or without them.
func edit(text string, keys []key, present bool) (after string, changed []key) {
	left := map[string]key{}
	for _, k := range keys {
		left[k.blob] = k
	}
	var b strings.Builder
	for line := range strings.Lines(text) {
		k, ok := parse(line)
		want, named := left[k.blob]
		switch {
		case !ok || !named:
			b.WriteString(line)
			continue
		case !present:
			changed = append(changed, want)
			continue
		}
		delete(left, k.blob)
		if want.comment == "" {
			want.comment = k.comment
		}
		if k == want {
			b.WriteString(line)
			continue
		}
		changed = append(changed, want)
		b.WriteString(want.String() + "\n")
	}
	if !present {
		return b.String(), changed
	}
	for _, k := range keys {
		if _, missing := left[k.blob]; !missing {
			continue
		}
		delete(left, k.blob)
		if b.Len() > 0 && !strings.HasSuffix(b.String(), "\n") {
			b.WriteByte('\n')
		}
		b.WriteString(k.String() + "\n")
		changed = append(changed, k)
	}
	return b.String(), changed
}

// save writes the file such that sshd takes it: the user's own, for nobody else to read. The user, who may put links into
// his home, leads it nowhere else.
func (w wanted) save(text string) error {
	dir := filepath.Dir(w.file)
	if _, err := os.Lstat(dir); err != nil {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return fmt.Errorf("make %s: %w", dir, err)
		}
		if err := w.own(dir); err != nil {
			return err
		}
	}
	for _, path := range []string{dir, w.file} {
		if info, err := os.Lstat(path); err == nil && info.Mode()&os.ModeSymlink != 0 {
			return fmt.Errorf("%s is a link: it is not followed", path)
		}
	}
	_, err := os.Lstat(w.file)
	if err := conffile.WriteMode(w.file, text, 0o600); err != nil {
		return err
	}
	if err != nil {
		return w.own(w.file)
	}
	return nil
}

func (w wanted) own(path string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	if err := os.Lchown(path, w.uid, w.gid); err != nil {
		return fmt.Errorf("give %s to %s: %w", path, w.user, err)
	}
	return nil
}

func (f family) run(present bool) func(context.Context, *state.Call) state.Result {
	return func(ctx context.Context, c *state.Call) state.Result {
		w, res, stop := f.read(ctx, c, []string{c.Name})
		if stop {
			return res
		}
		text, err := conffile.Read(w.file)
		if err != nil {
			return args.Failed("%v", err)
		}
		after, changed := edit(text, w.keys, present)
		verb, is := "New", "already present for user"
		if !present {
			verb, is = "Key removed", "already absent from user"
		}
		if len(changed) == 0 {
			return args.Fine("The authorized host key %s is %s %s", c.Name, is, w.user)
		}
		changes := data.NewMap()
		for _, k := range changed {
			changes.Set(k.blob, verb)
		}
		switch {
		case c.Test && present:
			return args.Would(nil, "Key %s for user %s is set to be added", c.Name, w.user)
		case c.Test:
			return args.Would(nil, "Key %s for user %s is set for removal", c.Name, w.user)
		}
		if err := w.save(after); err != nil {
			return args.Failed("%v", err)
		}
		if present {
			return args.Done(changes, "The authorized host key %s for user %s was added", c.Name, w.user)
		}
		return args.Done(changes, "Key %s for user %s removed", c.Name, w.user)
	}
}

func (f family) manage(ctx context.Context, c *state.Call) state.Result {
	a := args.Of(c)
	texts := a.List("ssh_keys")
	if !a.Has("ssh_keys") {
		a.Wrong("Missing parameter ssh_keys")
	}
	if res, bad := a.Bad(); bad {
		return res
	}
	w, res, stop := f.read(ctx, c, texts)
	if stop {
		return res
	}
	text, err := conffile.Read(w.file)
	if err != nil {
		return args.Failed("%v", err)
	}
	var extra []key
	for line := range strings.Lines(text) {
		k, ok := parse(line)
		wanted := false
		for _, want := range w.keys {
			wanted = wanted || want.blob == k.blob
		}
		if ok && !wanted {
			extra = append(extra, k)
		}
	}
	changes := data.NewMap()
	after, _ := edit(text, extra, false)
	after, added := edit(after, w.keys, true)
	for _, k := range added {
		changes.Set(k.blob, "New")
	}
	for _, k := range extra {
		changes.Set(k.blob, "Key removed")
	}
	switch {
	case changes.Len() == 0:
		return args.Fine("All keys of user %s are as they should be", w.user)
	case c.Test:
		return args.Would(changes, "Keys of user %s are set to be changed", w.user)
	}
	if err := w.save(after); err != nil {
		return args.Failed("%v", err)
	}
	return args.Done(changes, "Keys of user %s were changed", w.user)
}
