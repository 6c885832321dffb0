package file

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/states/args"
	"github.com/brine-deploy/brine/states/fetch"
	"github.com/brine-deploy/brine/states/state"
)

// managed is one file that should have a content, an owner and a mode.
type managed struct {
	c          *state.Call
	name       string
	perms      perms
	keep       bool // the source's mode
	dirMode    string
	source     source
	contents   *string // nil when the content comes from the source
	bare       bool    // neither: only that it is there
	template   template
	makedirs   bool
	follow     bool
	show       bool
	backup     string
	check, ext string
	tempDir    string
}

func runManaged(ctx context.Context, c *state.Call) state.Result {
	m, res, stop := readManaged(ctx, c)
	if stop {
		return res
	}
	return m.run(ctx)
}

// run makes the file what it should be, from where its arguments are understood.
func (m *managed) run(ctx context.Context) state.Result {
	if m.bare && exists(m.name) {
		return m.permissions()
	}
	if m.c.Test {
		return m.test(ctx)
	}
	blob, err := m.content(ctx)
	if err != nil {
		return args.Failed("Unable to manage file: %v", err)
	}
	defer blob.Close()
	if res, failed := m.verify(blob); failed {
		return res
	}
	if m.check != "" {
		if res, failed := m.runCheck(ctx, blob); failed {
			return res
		}
	}
	if lexists(m.name) {
		return m.update(blob)
	}
	return m.create(blob)
}

// content gets what the file should hold: nil when that is what it holds already by its checksum, or when it is bare.
func (m *managed) content(ctx context.Context) (*fetch.Blob, error) {
	switch {
	case m.contents != nil:
		return fetch.FromText(*m.contents), nil
	case m.bare:
		return nil, nil
	}
	blob, err := m.source.get(ctx, m.c.Host, m.name, m.template.engine == "")
	if err != nil {
		return nil, err
	}
	if blob == nil {
		return nil, nil
	}
	if m.keep && blob.Mode != 0 {
		m.perms.mode = octal(blob.Mode)
	}
	if m.template.engine == "" {
		return blob, nil
	}
	defer blob.Close()
	text, err := m.template.about("name", m.name).blob(ctx, m.c.Host, m.source.from, blob)
	if err != nil {
		return nil, err
	}
	return fetch.FromText(text), nil
}

// verify holds a source to the checksum that the user gave.
func (m *managed) verify(blob *fetch.Blob) (state.Result, bool) {
	want := m.source.want
	if blob == nil || m.contents != nil || m.source.skipVerify || !want.Given() || fetch.Scheme(m.source.from) == "salt" || m.template.engine != "" {
		return state.Result{}, false
	}
	got, err := blob.Sum(want)
	if err != nil {
		return args.Failed("Unable to manage file: %v", err), true
	}
	if got == want {
		return state.Result{}, false
	}
	return args.Failed("Specified %s checksum for %s (%s) does not match actual checksum (%s)", want.Kind, m.name, want.Hex, got.Hex), true
}

func (m *managed) permissions() state.Result {
	changes, err := m.enforce(m.name)
	switch {
	case err != nil:
		return args.Failed("Unable to manage file: %v", err)
	case changes.Len() == 0:
		return args.Fine("File %s exists with proper permissions. No changes made.", m.name)
	case m.c.Test:
		return args.Would(changes, "File %s not updated", m.name)
	}
	return args.Done(changes, "File %s updated", m.name)
}

func (m *managed) enforce(path string) (*data.Map, error) {
	if m.c.Test {
		return m.perms.differences(path, m.follow)
	}
	return m.perms.enforce(path, m.follow)
}

const testNote = "\nNote: No changes made, actual changes may\nbe different due to other states."

func (m *managed) test(ctx context.Context) state.Result {
	blob, err := m.content(ctx)
	if rendering, ok := errors.AsType[*templateError](err); ok {
		return args.Exception("%v", rendering)
	}
	if err != nil {
		return args.Failed("Unable to manage file: %v", err)
	}
	defer blob.Close()
	changes := data.NewMap()
	if !exists(m.name) {
		changes.Set("newfile", m.name)
	} else {
		text, err := m.diff(m.name, blob)
		if err != nil {
			return args.Failed("Unable to manage file: %v", err)
		}
		if text != "" {
			changes.Set("diff", text)
		}
		differ, err := m.perms.differences(m.name, m.follow)
		if err != nil {
			return args.Failed("Unable to manage file: %v", err)
		}
		for k, v := range differ.All() {
			changes.Set(k, v)
		}
	}
	if changes.Len() == 0 {
		return args.Fine("The file %s is in the correct state", m.name)
	}
	return args.Would(changes, "The file %s is set to be changed%s", m.name, testNote)
}

// diff tells how the content of path differs from what it should be; empty when it does not.
func (m *managed) diff(path string, blob *fetch.Blob) (string, error) {
	if blob == nil {
		return "", nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("compare %s: %w", path, err)
	}
	if info.Size() == blob.Size {
		in, err := os.Open(path)
		if err != nil {
			return "", fmt.Errorf("compare %s: %w", path, err)
		}
		sum, err := fetch.Sum{Kind: "sha256"}.Of(in)
		in.Close()
		if err != nil {
			return "", fmt.Errorf("compare %s: %w", path, err)
		}
		if sum.Hex == blob.SHA256 {
			return "", nil
		}
	}
	if !m.show {
		return "<show_changes=False>", nil
	}
	if info.Size() > maxDiff || blob.Size > maxDiff {
		return fmt.Sprintf("Files of %d and %d bytes differ", info.Size(), blob.Size), nil
	}
	before, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("compare %s: %w", path, err)
	}
	after, err := blob.Bytes(maxDiff)
	if err != nil {
		return "", err
	}
	return diff(before, after), nil
}

// update changes a file, or a link, that is there.
func (m *managed) update(blob *fetch.Blob) state.Result {
	dest, link := m.name, isLink(m.name)
	if link && m.follow {
		real, err := filepath.EvalSymlinks(m.name)
		if err != nil {
			return args.Failed("Unable to manage file: %v", err)
		}
		dest = real
	}
	changes := data.NewMap()
	var text string
	if exists(dest) {
		var err error
		if text, err = m.diff(dest, blob); err != nil {
			return args.Failed("Unable to manage file: %v", err)
		}
	}
	if text == "" && blob != nil && link && !m.follow {
		text = "Replace symbolic link with regular file"
	}
	if text != "" {
		if err := backUp(m.c.Host, dest, m.backup); err != nil {
			return args.Failed("Unable to manage file: %v", err)
		}
		if err := replace(dest, blob, defaultMode()); err != nil {
			return args.Failed("Failed to commit change: %v", err)
		}
		changes.Set("diff", text)
	}
	more, err := m.enforce(m.name)
	if err != nil {
		return args.Failed("Unable to manage file: %v", err)
	}
	for k, v := range more.All() {
		changes.Set(k, v)
	}
	if changes.Len() == 0 {
		return args.Fine("File %s is in the correct state", m.name)
	}
	return args.Done(changes, "File %s updated", m.name)
}

// create makes a file that is not there.
func (m *managed) create(blob *fetch.Blob) state.Result {
	dir := filepath.Dir(m.name)
	if !isDir(dir) {
		if !m.makedirs {
			return args.Failed("Parent directory not present")
		}
		p := m.perms
		if p.mode = m.dirMode; p.mode == "" {
			p.mode = dirModeOf(m.perms.mode)
		}
		if err := makeDirs(dir, p); err != nil {
			return args.Failed("Unable to manage file: %v", err)
		}
	}
	changes := data.NewMap()
	res := args.Done(changes, "File %s updated", m.name)
	first := defaultMode()
	switch {
	case m.bare:
		changes.Set("new", fmt.Sprintf("file %s created", m.name))
		res.Comment = "Empty file"
		blob = fetch.FromText("")
	case m.contents != nil:
		changes.Set("diff", "New file")
	default:
		changes.Set("diff", "New file")
		first = 0o600
	}
	if m.perms.mode == "" {
		m.perms.mode = octal(defaultMode())
	} else {
		first = 0o600 // until the owner is right too
	}
	if err := replace(m.name, blob, first); err != nil {
		return args.Failed("Unable to manage file: %v", err)
	}
	more, err := m.perms.enforce(m.name, m.follow)
	if err != nil {
		return args.Failed("Unable to manage file: %v", err)
	}
	for k, v := range more.All() {
		changes.Set(k, v)
	}
	return res
}

// runCheck lets check_cmd judge the new content, as a file beside which nothing has changed yet.
func (m *managed) runCheck(ctx context.Context, blob *fetch.Blob) (state.Result, bool) {
	if blob == nil {
		return state.Result{}, false
	}
	if exists(m.name) {
		if text, err := m.diff(m.name, blob); err == nil && text == "" {
			return state.Result{}, false
		}
	}
	temp, err := os.CreateTemp(m.tempDir, "brine-check-*"+m.ext)
	if err != nil {
		return args.Failed("Unable to check_cmd file: %v", err), true
	}
	temp.Close()
	defer func() { _ = os.Remove(temp.Name()) }()
	if err := replace(temp.Name(), blob, 0o600); err != nil {
		return args.Failed("Unable to check_cmd file: %v", err), true
	}
	p := m.perms
	if _, err := p.enforce(temp.Name(), true); err != nil {
		return args.Failed("Unable to check_cmd file: %v", err), true
	}
	out := shell(ctx, m.c, m.check+" "+temp.Name())
	if out.OK() {
		return state.Result{}, false
	}
	comment := "check_cmd execution failed"
	if said := strings.TrimSpace(out.Stdout + out.Stderr); said != "" {
		comment += "\n" + said
	}
	return args.Failed("%s", comment), true
}
