package file

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/states/args"
	"github.com/brine-deploy/brine/states/fetch"
	"github.com/brine-deploy/brine/states/state"
)

var appendParams = []string{ //nolint:gochecknoglobals // a table
	"text", "makedirs", "source", "source_hash", "sources", "source_hashes", "template", "defaults", "context", "ignore_whitespace", "saltenv",
}

func runAppend(ctx context.Context, c *state.Call) state.Result  { return addLines(ctx, c, false) }
func runPrepend(ctx context.Context, c *state.Call) state.Result { return addLines(ctx, c, true) }

// addLines adds the texts that a file does not have, at its end or start.
func addLines(ctx context.Context, c *state.Call, atStart bool) state.Result {
	a := args.Of(c)
	makedirs, loose, header := a.Bool("makedirs", false), a.Bool("ignore_whitespace", true), atStart && a.Bool("header", false)
	chunks := a.List("text")
	sources, hashes, tmpl := a.List("sources"), a.List("source_hashes"), readTemplate(a)
	if one := a.Text("source", ""); one != "" {
		sources, hashes = []string{one}, []string{a.Text("source_hash", "")}
	}
	if len(chunks) == 0 && len(sources) == 0 {
		a.Wrong("Missing parameter text, or source")
	}
	if res, bad := a.Bad(); bad {
		return res
	}
	name := expand(c.Name)
	if res, bad := notAbsolute(name); bad {
		return res
	}
	for i, one := range sources {
		if len(chunks) > 0 && i == 0 {
			return args.Failed("text and source are mutually exclusive")
		}
		s := source{from: one}
		if i < len(hashes) {
			s.hash = hashes[i]
		}
		text, err := s.text(ctx, c.Host, name, tmpl)
		if err != nil {
			return args.Failed("%v", err)
		}
		chunks = append(chunks, text)
	}
	if res, done := emptyFile(c, name, makedirs); done {
		return res
	}
	before, err := readText(name)
	if err != nil {
		return args.Failed("%v", err)
	}
	var more []string
	if header {
		more = missingHeader(before, chunks)
	} else {
		more = missingLines(before, chunks, loose)
	}
	if len(more) == 0 {
		return args.Fine("File %s is in correct state", name)
	}
	after := added(before, more, atStart)
	changes := data.NewMap("diff", diff([]byte(before), []byte(after)))
	if c.Test {
		return args.Would(changes, "File %s is set to be updated", name)
	}
	if err := writeText(name, after); err != nil {
		return args.Failed("%v", err)
	}
	verb := "Appended"
	if atStart {
		verb = "Prepended"
	}
	return args.Done(changes, "%s %d lines", verb, len(more))
}

// text gets a source as text, rendered if it is a template.
func (s *source) text(ctx context.Context, h *state.Host, dest string, t template) (string, error) {
	blob, err := s.get(ctx, h, dest, false)
	if err != nil {
		return "", err
	}
	defer blob.Close()
	if s.want.Given() {
		got, err := blob.Sum(s.want)
		if err != nil {
			return "", err
		}
		if got != s.want {
			return "", fmt.Errorf("checksum of %s is %s, not %s", s.from, got.Hex, s.want.Hex)
		}
	}
	if t.engine != "" {
		return t.blob(ctx, h, s.from, blob)
	}
	text, err := blob.Bytes(maxText)
	return string(text), err
}

// missingLines are the lines of the chunks that a text does not have, each chunk as consecutive lines.
func missingLines(text string, chunks []string, loose bool) []string {
	norm := func(s string) string {
		if loose {
			return strings.Join(strings.Fields(s), " ")
		}
		return s
	}
	var have, more []string
	for line := range strings.Lines(text) {
		have = append(have, norm(strings.TrimRight(line, "\r\n")))
	}
	for _, chunk := range chunks {
		lines := splitLines(chunk)
		if len(lines) == 0 {
			continue
		}
		want := make([]string, len(lines))
		for i, line := range lines {
			want[i] = norm(line)
		}
		if !containsRun(have, want) {
			more = append(more, lines...)
		}
	}
	return more
}

// missingHeader are the lines of the chunks, unless the text starts with them.
func missingHeader(text string, chunks []string) []string {
	var want []string
	for _, chunk := range chunks {
		want = append(want, splitLines(chunk)...)
	}
	have := splitLines(text)
	if len(have) >= len(want) && slices.Equal(have[:len(want)], want) {
		return nil
	}
	return want
}

func containsRun(have, want []string) bool {
	for i := 0; i+len(want) <= len(have); i++ {
		if slices.Equal(have[i:i+len(want)], want) {
			return true
		}
	}
	return false
}

func splitLines(text string) []string {
	text = strings.TrimSuffix(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

func added(text string, lines []string, atStart bool) string {
	block := strings.Join(lines, "\n") + "\n"
	if atStart {
		return block + text
	}
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	return text + block
}

// maxText bounds the files that are changed as text.
const maxText = 64 << 20

// readText reads a file that is to be changed as text.
func readText(name string) (string, error) {
	info, err := os.Stat(name)
	if err != nil {
		return "", fmt.Errorf("%s: file not found", name)
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s is no regular file", name)
	}
	if info.Size() > maxText {
		return "", fmt.Errorf("%s has %d bytes, over the limit of %d for changes of text", name, info.Size(), maxText)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return "", fmt.Errorf("read %s: %w", name, err)
	}
	return string(text), nil
}

// writeText replaces the content of a file, or of what a link points to: the functions that change text follow links.
func writeText(name, text string) error {
	real, err := resolve(name)
	if err != nil {
		return err
	}
	return replace(real, fetch.FromText(text), defaultMode())
}
