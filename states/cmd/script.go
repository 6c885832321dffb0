package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/states/account"
	"github.com/brine-deploy/brine/states/args"
	"github.com/brine-deploy/brine/states/fetch"
	"github.com/brine-deploy/brine/states/state"
)

// errQuote says that a text ends inside quotes.
var errQuote = errors.New("no closing quotation")

// split splits a text into words as a shell does, without any expansion.
func split(text string) ([]string, error) {
	var words []string
	var word strings.Builder
	open, quote, escaped := false, rune(0), false
	for _, r := range text {
		switch {
		case escaped:
			word.WriteRune(r)
			escaped = false
		case r == '\\' && quote != '\'':
			escaped, open = true, true
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			quote, open = r, true
		case strings.ContainsRune(" \t\r\n", r):
			if open {
				words = append(words, word.String())
			}
			word.Reset()
			open = false
		default:
			word.WriteRune(r)
			open = true
		}
	}
	if quote != 0 || escaped {
		return nil, errQuote
	}
	if open {
		words = append(words, word.String())
	}
	return words, nil
}

func runScript(ctx context.Context, c *state.Call) state.Result {
	m, res, bad := read(c)
	if bad {
		return res
	}
	a := args.Of(c)
	source, words := a.Text("source", ""), strings.TrimSpace(a.Text("args", ""))
	sum, engine, dir := a.Text("source_hash", ""), a.Text("template", ""), a.Text("tmp_dir", "")
	vars := data.NewMap()
	for _, name := range []string{"defaults", "context"} {
		for k, v := range a.Map(name).All() {
			vars.Set(k, v)
		}
	}
	first, rest, _ := strings.Cut(c.Name, " ")
	if source == "" {
		source = first
	}
	if words == "" {
		words = rest
	}
	argv, err := split(words)
	if err != nil {
		a.Wrong("args: %v", err)
	}
	if res, bad := a.Bad(); bad {
		return res
	}
	if c.Test && !m.stateful {
		return args.Would(nil, "Command '%s' would have been executed", c.Name)
	}
	if c.Test {
		return m.would(c.Name)
	}
	if problem := m.problem(); problem != "" {
		return args.Failed("%s", problem)
	}
	path, err := m.fetch(ctx, dir, source, sum, engine, vars)
	if err != nil {
		return args.Failed("Unable to fetch script %s: %v", source, err)
	}
	defer func() { _ = os.Remove(path) }()
	m.line = c.Name
	changes, ok := m.run(ctx, append(m.interpreter(path), argv...))
	return m.judge(changes, ok, fmt.Sprintf("Command '%s' run", c.Name))
}

// interpreter is what runs a script: itself when its first line says so, else a shell.
func (m *command) interpreter(path string) []string {
	in, err := os.Open(path)
	if err == nil {
		defer in.Close()
		head := make([]byte, 2)
		if _, err := io.ReadFull(in, head); err == nil && string(head) == "#!" && m.shell == "" {
			return []string{path}
		}
	}
	return []string{m.shellPath(), path}
}

// maxScript bounds scripts.
const maxScript = 64 << 20

// fetch puts a script into a file that only its user may read, and run.
func (m *command) fetch(ctx context.Context, dir, source, sourceHash, engine string, vars *data.Map) (string, error) {
	var want fetch.Sum
	var err error
	if sourceHash != "" {
		if want, err = fetch.SumOf(ctx, m.c.Host, sourceHash, source, "", source); err != nil {
			return "", err
		}
	}
	blob, err := fetch.Get(ctx, m.c.Host, source, want)
	if err != nil {
		return "", err
	}
	defer blob.Close()
	if got, err := blob.Sum(want); want.Given() && (err != nil || got != want) {
		return "", fmt.Errorf("its checksum is %s, not %s", got.Hex, want.Hex)
	}
	text, err := blob.Bytes(maxScript)
	if err != nil {
		return "", err
	}
	if engine != "" {
		if m.c.Host.Render == nil {
			return "", errors.New("this host cannot render templates")
		}
		rendered, err := m.c.Host.Render(ctx, source, string(text), engine, vars)
		if err != nil {
			return "", err
		}
		text = []byte(rendered)
	}
	return m.place(ctx, dir, text)
}

func (m *command) place(ctx context.Context, dir string, text []byte) (string, error) {
	out, err := os.CreateTemp(dir, "brine-script-*")
	if err != nil {
		return "", fmt.Errorf("write script: %w", err)
	}
	_, err = out.Write(text)
	if err == nil {
		err = out.Chmod(0o500)
	}
	if m.runas != "" && err == nil {
		var db account.DB
		if uid, ok := db.UID(ctx, m.runas); ok && os.Geteuid() == 0 {
			err = out.Chown(uid, -1)
		}
	}
	if failed := out.Close(); err == nil {
		err = failed
	}
	if err != nil {
		_ = os.Remove(out.Name())
		return "", fmt.Errorf("write script: %w", err)
	}
	return out.Name(), nil
}
