package appspeccases_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"
)

// expected is one case.
type expected struct {
	Requires []string `json:"requires"`
	Steps    []step   `json:"steps"`
	Safer    *safer   `json:"safer"`
	step
}

// step is one deployment.
type step struct {
	Bundle  string `json:"bundle"`
	Pre     string `json:"pre"`
	Options struct {
		Type, Location   string
		Exists           string `json:"file_exists_behavior"`
		Events           any    `json:"events"`
		Appspec          string `json:"appspec_filename"`
		Group            string `json:"deployment_group"`
		GroupName        string `json:"deployment_group_name"`
		Application      string `json:"application_name"`
		IgnoreStopFailed bool   `json:"ignore_application_stop_failures"`
	} `json:"options"`
	outcome
}

// outcome is what a step is to come to. A field that is nil is not looked at.
type outcome struct {
	OK             *bool               `json:"ok"`
	Phase          string              `json:"phase"`
	Errors         []string            `json:"error_contains_any"`
	Hook           string              `json:"hook"`
	Code           *int                `json:"error_code"`
	Script         string              `json:"script"`
	Files          map[string]entry    `json:"files"`
	Exact          bool                `json:"files_exact"`
	Absent         []string            `json:"absent"`
	HookOrder      []string            `json:"hook_order"`
	LogContains    []string            `json:"log_contains"`
	LogNotContains []string            `json:"log_not_contains"`
	ACLs           map[string][]string `json:"acl_contains"`
	TailMax        int                 `json:"diag_log_max"`
	TailContains   []string            `json:"diag_log_contains"`
	MinSeconds     float64             `json:"min_seconds"`
	MaxSeconds     float64             `json:"max_seconds"`
	Archives       int                 `json:"archives_kept"`
}

// safer is another outcome that is good; for cases of several steps it is told in words, and saferSteps has it.
type safer struct {
	outcome
	Words string `json:"steps"`
}

// entry is one file. A field that is empty is not looked at.
type entry struct {
	Mode, Owner, Group string
	Digest             string `json:"sha256"`
	Content            string `json:"sha256_of"`
	Dir                bool   `json:"dir"`
	Symlink            string `json:"symlink"`
}

// result is what brine-minion local prints.
type result struct {
	OK         bool     `json:"ok"`
	Phase      string   `json:"phase"`
	Event      string   `json:"event"`
	Script     string   `json:"script"`
	Code       int      `json:"error_code"`
	Message    string   `json:"message"`
	LogTail    string   `json:"log_tail"`
	Hooks      []string `json:"hooks"`
	Deployment string   `json:"deployment"`
	LogFile    string   `json:"log_file"`

	took time.Duration
	home string // directory of the case on the host
}

// misses lists how a result is unlike what is expected.
func (o outcome) misses(r result) []string {
	var out []string
	miss := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	switch {
	case o.OK != nil && r.OK != *o.OK:
		miss("ok is %v: %s", r.OK, r.Message)
	case o.Phase != "" && r.Phase != o.Phase:
		miss("phase is %q, want %q", r.Phase, o.Phase)
	}
	if len(o.Errors) > 0 && !slices.ContainsFunc(o.Errors, func(s string) bool { return strings.Contains(r.Message, s) }) {
		miss("message has none of %q", o.Errors)
	}
	if o.Hook != "" && r.Event != o.Hook {
		miss("event is %q, want %q", r.Event, o.Hook)
	}
	if o.Script != "" && r.Script != o.Script {
		miss("script is %q, want %q", r.Script, o.Script)
	}
	if o.Code != nil && r.Code != *o.Code {
		miss("error code is %d, want %d", r.Code, *o.Code)
	}
	if o.HookOrder != nil && !slices.Equal(r.Hooks, o.HookOrder) {
		miss("hooks are %q, want %q", r.Hooks, o.HookOrder)
	}
	if s := r.took.Seconds(); s < o.MinSeconds || o.MaxSeconds > 0 && s > o.MaxSeconds {
		miss("it took %.1f s, want %v to %v", s, o.MinSeconds, o.MaxSeconds)
	}
	return slices.Concat(out, o.missesInLogs(r), o.missesOnDisk(r))
}

func (o outcome) missesInLogs(r result) (out []string) {
	log, _ := os.ReadFile(r.LogFile) // without one there is nothing in it
	for _, s := range o.LogContains {
		if !strings.Contains(string(log), s) {
			out = append(out, fmt.Sprintf("the log has no %q", s))
		}
	}
	for _, s := range o.LogNotContains {
		if strings.Contains(string(log), s) {
			out = append(out, fmt.Sprintf("the log has %q", s))
		}
	}
	for _, s := range o.TailContains {
		if !strings.Contains(r.LogTail, s) {
			out = append(out, fmt.Sprintf("the tail has no %q", s))
		}
	}
	if n := utf8.RuneCountInString(r.LogTail); o.TailMax > 0 && n > o.TailMax {
		out = append(out, fmt.Sprintf("the tail has %d characters, want at most %d", n, o.TailMax))
	}
	return out
}

func (o outcome) missesOnDisk(r result) (out []string) {
	for name, e := range o.Files {
		for _, m := range e.misses(name) {
			out = append(out, name+": "+m)
		}
	}
	for _, name := range o.Absent {
		if _, err := os.Lstat(name); err == nil {
			out = append(out, name+" is there")
		}
	}
	for name, want := range o.ACLs {
		acl, err := exec.Command("getfacl", "-p", name).CombinedOutput()
		for _, w := range want {
			if err != nil || !strings.Contains(string(acl), w) {
				out = append(out, fmt.Sprintf("acl of %s has no %s: %s %v", name, w, acl, err))
			}
		}
	}
	if o.Archives > 0 {
		kept, _ := filepath.Glob(filepath.Join(filepath.Dir(filepath.Dir(filepath.Dir(r.LogFile))), "*"))
		if len(kept) != o.Archives {
			out = append(out, fmt.Sprintf("%d archives are kept, want %d", len(kept), o.Archives))
		}
	}
	if !o.Exact {
		return out
	}
	_ = filepath.WalkDir(r.home, func(name string, _ fs.DirEntry, err error) error {
		if _, wanted := o.Files[name]; err == nil && name != r.home && !wanted {
			out = append(out, name+" should not be there")
		}
		return err
	})
	return out
}

func (e entry) misses(name string) (out []string) {
	info, err := os.Lstat(name)
	if err != nil {
		return []string{err.Error()}
	}
	want := func(what, got, want string) {
		if want != "" && got != want {
			out = append(out, fmt.Sprintf("%s is %s, want %s", what, got, want))
		}
	}
	st := info.Sys().(*syscall.Stat_t)
	want("mode", fmt.Sprintf("%04o", st.Mode&0o7777), e.Mode)
	if u, err := user.LookupId(fmt.Sprint(st.Uid)); err == nil {
		want("owner", u.Username, e.Owner)
	}
	if g, err := user.LookupGroupId(fmt.Sprint(st.Gid)); err == nil {
		want("group", g.Name, e.Group)
	}
	target, _ := os.Readlink(name) // empty for what is no link
	want("link", target, e.Symlink)
	if e.Dir && !info.IsDir() {
		out = append(out, "it is no directory")
	}
	if e.Content != "" {
		e.Digest = digest([]byte(e.Content))
	}
	if e.Digest != "" {
		data, _ := os.ReadFile(name) // then the digest is wrong
		want("digest", digest(data), e.Digest)
		if !info.Mode().IsRegular() {
			out = append(out, "it is no file")
		}
	}
	return out
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// saferSteps has the outcomes that cases of several steps tell in words: case -> number of the step -> what is different.
func saferSteps(t *testing.T, name string, number int, o outcome) (outcome, bool) {
	t.Helper()
	home := "/tmp/appspec-case/" + name
	switch {
	case name == "d05-stop-after-failed-start" && number == 3:
		o.LogContains, o.LogNotContains = []string{"[stdout]ApplicationStop rev-one"}, nil
		return o, true
	case name == "d11-failed-install-loses-old" && number == 2:
		o.Absent = nil
		o.Files[home+"/app/a.txt"] = entry{Content: "rev 1\n"}
		return o, true
	}
	return o, false
}

func load(t *testing.T, dir string) expected {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "expected.json"))
	if err != nil {
		t.Fatal(err)
	}
	var e expected
	if err := json.Unmarshal(data, &e); err != nil {
		t.Fatal(err)
	}
	if len(e.Steps) == 0 {
		e.Steps = []step{e.step}
	}
	return e
}
