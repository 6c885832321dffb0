package text_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/brine-deploy/brine/cmd/brine/text"
)

func TestDurationsReadAsPeopleSayThem(t *testing.T) {
	for _, c := range []struct {
		d    time.Duration
		want string
	}{
		{-time.Second, "0.0s"},
		{380 * time.Millisecond, "0.4s"},
		{12340 * time.Millisecond, "12.3s"},
		{59990 * time.Millisecond, "1m00s"},
		{65 * time.Second, "1m05s"},
		{2*time.Hour + 3*time.Minute, "2h03m"},
		{76 * time.Hour, "3d4h"},
	} {
		if got := text.Duration(c.d); got != c.want {
			t.Errorf("Duration(%v) = %q, want %q", c.d, got, c.want)
		}
	}
}

func TestAgoTellsNeverFromLong(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		t    time.Time
		want string
	}{
		{time.Time{}, "never"},
		{now.Add(time.Second), "just now"},
		{now.Add(-30 * time.Second), "30s ago"},
		{now.Add(-5 * time.Minute), "5m ago"},
		{now.Add(-26 * time.Hour), "1d2h ago"},
	} {
		if got := text.Ago(c.t, now); got != c.want {
			t.Errorf("Ago(%v) = %q, want %q", c.t, got, c.want)
		}
	}
}

func TestSizes(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 5 << 20: "5.0 MiB", 3 << 50: "3.0 PiB"} {
		if got := text.Size(n); got != want {
			t.Errorf("Size(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestRemoteTextCannotSteerTheTerminal(t *testing.T) {
	for in, want := range map[string]string{
		"\x1b[31mred\x1b[0m":              "red",
		"\x1b]0;title\x07text":            "text",
		"a\rb\x00c\u009bd":                "abcd",
		"one\r\ntwo\tthree":               "one\ntwo\tthree",
		"\x1b]8;;http://x\x1b\\link":      "link",
		"right\u202eto left":              "rightto left",
		"\x1b(Bplain \x1bcreset \x1b[2Kx": "plain reset x",
	} {
		if got := text.Clean(in); got != want {
			t.Errorf("Clean(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestTableAlignsAndPaintsWholeLines(t *testing.T) {
	lines := text.Table([]string{"ID", "STATE"}, []text.Row{
		{Cells: []string{"web1", "active"}},
		{Cells: []string{"a-longer-one", ""}, Paint: func(s string) string { return "<" + s + ">" }},
	})
	want := "ID            STATE\nweb1          active\n<a-longer-one  ->"
	if got := strings.Join(lines, "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestValuesReadAsSaltWritesThem(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{`true`, "true"},
		{`12345678901234567890`, "12345678901234567890"},
		{`"up 3 days\nload 0.1\n"`, "up 3 days\nload 0.1"},
		{`{"os":"Debian","ipv4":["10.0.0.1","10.0.0.2"],"kernel":{"name":"Linux"}}`, "ipv4:\n  - 10.0.0.1\n  - 10.0.0.2\nkernel:\n  name: Linux\nos: Debian"},
		{`[{"a":1,"b":2}]`, "- a: 1\n  b: 2"},
		{`null`, ""},
		{`{"empty":null,"text":"one\ntwo"}`, "empty:\ntext:\n  one\n  two"},
	} {
		if got := strings.Join(text.Value(json.RawMessage(c.in)), "\n"); got != c.want {
			t.Errorf("Value(%s) =\n%s\nwant\n%s", c.in, got, c.want)
		}
	}
}
