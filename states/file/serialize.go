package file

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/pkg/yaml"
	"github.com/brine-deploy/brine/states/args"
	"github.com/brine-deploy/brine/states/state"
)

var serializeParams = []string{ //nolint:gochecknoglobals // a table
	"dataset", "dataset_pillar", "user", "group", "mode", "backup", "makedirs", "dir_mode", "show_changes", "create", "merge_if_exists", "encoding",
	"encoding_errors", "serializer", "serializer_opts", "deserializer_opts", "formatter", "check_cmd", "tmp_dir", "tmp_ext", "owner",
}

func runSerialize(ctx context.Context, c *state.Call) state.Result {
	a := args.Of(c)
	format := a.Text("serializer", a.Text("formatter", "yaml"))
	merge, create, fromPillar := a.Bool("merge_if_exists", false), a.Bool("create", true), a.Text("dataset_pillar", "")
	options, dataset := a.Map("serializer_opts"), a.Get("dataset")
	if res, bad := a.Bad(); bad {
		return res
	}
	name := expand(c.Name)
	if !create && !isFile(name) {
		return args.Fine("File %s is not present and is not set for creation", name)
	}
	switch {
	case dataset != nil && fromPillar != "":
		return args.Failed("Only one of 'dataset' and 'dataset_pillar' is permitted")
	case fromPillar != "":
		dataset, _ = data.Traverse(c.Host.Pillar, fromPillar, ":")
	}
	if dataset == nil {
		return args.Failed("Neither 'dataset' nor 'dataset_pillar' was defined")
	}
	if merge {
		merged, err := mergeExisting(name, format, dataset)
		if err != nil {
			return args.Failed("Failed to deserialize existing data: %v", err)
		}
		dataset = merged
	}
	text, err := serialize(format, dataset, options)
	if err != nil {
		return args.Failed("%v", err)
	}
	inner := *c
	inner.Args = data.NewMap("contents", text, "contents_newline", true)
	for _, key := range []string{"user", "group", "mode", "backup", "makedirs", "dir_mode", "check_cmd", "tmp_dir", "tmp_ext", "owner"} {
		if v := a.Get(key); v != nil {
			inner.Args.Set(key, v)
		}
	}
	inner.Args.Set("show_changes", a.Bool("show_changes", fromPillar == ""))
	res := runManaged(ctx, &inner)
	if c.Test && res.Verdict == state.Pending {
		res.Comment = fmt.Sprintf("Dataset will be serialized and stored into %s", name)
	}
	return res
}

// mergeExisting lays the dataset over what the file holds.
func mergeExisting(name, format string, dataset any) (any, error) {
	over, ok := dataset.(*data.Map)
	if !ok || !isFile(name) {
		return dataset, nil
	}
	text, err := readText(name)
	if err != nil {
		return nil, err
	}
	var value any
	switch strings.ToLower(format) {
	case "json":
		value, err = data.FromJSON([]byte(text))
	case "yaml":
		var doc *yaml.Node
		if doc, err = yaml.Salt(name, []byte(text)); err == nil {
			value = doc.Data()
		}
	default:
		return nil, fmt.Errorf("merge_if_exists is not known for %s", format)
	}
	if err != nil {
		return nil, err
	}
	under, ok := value.(*data.Map)
	if !ok {
		return dataset, nil
	}
	return data.Merge(under, over, data.Recurse, false), nil
}

func serialize(format string, v any, options *data.Map) (string, error) {
	switch strings.ToLower(format) {
	case "yaml":
		return strings.TrimSuffix(blockYAML(v, 0), "\n"), nil
	case "json":
		indent := int64(2)
		if n, ok := options.Get("indent"); ok {
			indent, _ = n.(int64)
		}
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", strings.Repeat(" ", int(min(max(indent, 0), 16))))
		if err := enc.Encode(data.Plain(v)); err != nil { // plain maps have their keys sorted, as Salt's
			return "", fmt.Errorf("serialize: %w", err)
		}
		return asciiJSON(strings.TrimSuffix(b.String(), "\n")), nil
	case "configparser", "ini":
		return ini(v)
	default:
		return "", fmt.Errorf("The %s serializer could not be found. It either does not exist or its prerequisites are not installed", format) //nolint:staticcheck,revive // Salt's words
	}
}

func ini(v any) (string, error) {
	sections, ok := v.(*data.Map)
	if !ok {
		return "", fmt.Errorf("serialize: configparser needs a mapping of sections")
	}
	var b strings.Builder
	for name, body := range sections.All() {
		keys, ok := body.(*data.Map)
		if !ok {
			return "", fmt.Errorf("serialize: section %s is no mapping", args.Text(name))
		}
		fmt.Fprintf(&b, "[%s]\n", args.Text(name))
		for key, value := range keys.All() {
			fmt.Fprintf(&b, "%s = %s\n", args.Text(key), args.Text(value))
		}
		b.WriteByte('\n')
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}

// blockYAML writes a value as YAML in block style, every line indented.
func blockYAML(v any, indent int) string {
	var b strings.Builder
	pad := strings.Repeat(" ", indent)
	switch v := v.(type) {
	case *data.Map:
		if v.Len() == 0 {
			return pad + "{}\n"
		}
		for _, key := range sortedKeys(v) {
			value, _ := v.Get(key)
			b.WriteString(pad + scalarYAML(key, indent) + ":")
			_, isList := value.([]any)
			if inner := value; isContainer(inner) {
				deeper := indent + 2
				if isList {
					deeper = indent // as PyYAML does
				}
				b.WriteString("\n" + blockYAML(inner, deeper))
				continue
			}
			b.WriteString(" " + scalarYAML(value, indent) + "\n")
		}
	case []any:
		if len(v) == 0 {
			return pad + "[]\n"
		}
		for _, value := range v {
			if isContainer(value) {
				b.WriteString(pad + "- " + strings.TrimPrefix(blockYAML(value, indent+2), pad+"  "))
				continue
			}
			b.WriteString(pad + "- " + scalarYAML(value, indent) + "\n")
		}
	default:
		return pad + scalarYAML(v, indent) + "\n"
	}
	return b.String()
}

func isContainer(v any) bool {
	switch v := v.(type) {
	case *data.Map:
		return v.Len() > 0
	case []any:
		return len(v) > 0
	}
	return false
}

func scalarYAML(v any, indent int) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return fmt.Sprint(v)
	case string:
		return stringYAML(v, indent)
	case *data.Map:
		return "{}"
	case []any:
		return "[]"
	default:
		return args.Text(v)
	}
}

// stringYAML quotes a text where it is needed, as PyYAML does.
func stringYAML(s string, indent int) string {
	odd := func(r rune) bool { return r < ' ' && r != '\n' || r >= 0x7f }
	switch {
	case strings.ContainsFunc(s, odd) || strings.Contains(s, " \n"):
		return doubleYAML(s)
	case plainYAML(s):
		return s
	}
	s = strings.ReplaceAll(s, "'", "''")
	var b strings.Builder
	for i := 0; i < len(s); i++ { // newlines are doubled, and what follows them is indented
		b.WriteByte(s[i])
		if s[i] != '\n' {
			continue
		}
		if i == 0 || s[i-1] != '\n' {
			b.WriteByte('\n')
		}
		if i+1 == len(s) || s[i+1] != '\n' {
			b.WriteString(strings.Repeat(" ", indent+2))
		}
	}
	return "'" + b.String() + "'"
}

func doubleYAML(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteRune('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\r':
			b.WriteString(`\r`)
		case r >= ' ' && r < 0x7f:
			b.WriteRune(r)
		case r <= 0xff:
			fmt.Fprintf(&b, `\x%02X`, r)
		case r <= 0xffff:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			fmt.Fprintf(&b, `\U%08X`, r)
		}
	}
	return b.String() + `"`
}

// sortedKeys are a map's keys as PyYAML writes them: sorted, when all are texts.
func sortedKeys(m *data.Map) []any {
	keys := m.Keys()
	for _, key := range keys {
		if _, ok := key.(string); !ok {
			return keys
		}
	}
	slices.SortFunc(keys, func(a, b any) int { return strings.Compare(a.(string), b.(string)) }) //nolint:forcetypeassert // seen above
	return keys
}

// asciiJSON writes what is not ASCII as Python does.
func asciiJSON(text string) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case r < 0x80:
			b.WriteRune(r)
		case r <= 0xffff:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		}
	}
	return b.String()
}

// plainYAML reports whether a text is read back as that text without quotes.
func plainYAML(s string) bool {
	if s == "" || strings.TrimSpace(s) != s || strings.ContainsAny(s[:1], "-?:,[]{}#&*!|>'\"%@`=<~") ||
		strings.Contains(s, ": ") || strings.Contains(s, " #") || strings.HasSuffix(s, ":") {
		return false
	}
	if _, err := time.Parse(time.DateOnly, s[:min(len(s), len(time.DateOnly))]); err == nil { // text to Salt, but a date to others
		return false
	}
	doc, err := yaml.Salt("", []byte(s))
	return err == nil && doc.Data() == s
}
