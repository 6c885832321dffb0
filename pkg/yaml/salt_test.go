package yaml_test

import (
	"encoding/json"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/pkg/yaml"
)

// TestDocumentsReadAsSaltReadsThem runs answers that were recorded from Salt 3006.16.
func TestDocumentsReadAsSaltReadsThem(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("testdata", "salt.json"))
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		N     int
		Text  string
		OK    bool
		Data  json.RawMessage
		Error []string `json:"error_contains_any"`
		Line  *int
	}
	if err := json.Unmarshal(raw, &cases); err != nil || len(cases) == 0 {
		t.Fatal("no cases", err)
	}
	for _, c := range cases {
		n, err := yaml.Salt("x.sls", []byte(c.Text))
		if !c.OK {
			var all yaml.Errors
			switch {
			case !errors.As(err, &all):
				t.Errorf("case %d: no error", c.N)
			case c.Line != nil && all[0].Line != *c.Line:
				t.Errorf("case %d: line %d, want %d", c.N, all[0].Line, *c.Line)
			}
			continue
		}
		want, _ := data.FromJSON(c.Data)
		if err != nil || !data.Equal(n.Data(), want) {
			t.Errorf("case %d: %q gives %#v, %v; want %s", c.N, c.Text, n.Data(), err, c.Data)
		}
	}
}

func TestScalarsAreThoseOfSalt(t *testing.T) {
	huge, _ := new(big.Int).SetString("123456789012345678901", 10)
	for text, want := range map[string]any{
		"yes": true, "Off": false, "ON": true, "y": "y", "n": "n", "yEs": "yEs", "'yes'": "yes",
		"~": nil, "Null": nil, "''": "", "=": "=",
		"0644": int64(644), "010": int64(10), "-010": int64(-8), "0": int64(0), "000": int64(0), "0888": "0888", "0o17": "0o17",
		"12:30": int64(750), "12:30:45": int64(45045), "01:30": "01:30", "1:60": "1:60", "1_000": int64(1000), "+7": int64(7),
		"0x1F": int64(31), "0b101": int64(5), "123456789012345678901": huge, "0x_": "0x_", "-": []any{nil},
		"1e3": "1e3", "1.0e3": "1.0e3", "1.0e+3": 1000.0, "1.": 1.0, ".5": 0.5, "-.5": "-.5", "1:30.5": 90.5, "1.2.3": "1.2.3",
		"2020-01-02": "2020-01-02", "2020-01-02 03:04:05": "2020-01-02 03:04:05",
		"!!str 0644": "0644", "!!int '0644'": int64(644), "!!float 3": int64(3), "!!float 3.0": 3.0, "!!bool 'On'": true,
		"!!null x": nil, "!!binary aGVsbG8=": "hello", "! 12": int64(12), "{a, b: 1}": data.NewMap("a", nil, "b", int64(1)),
		"{1: a, true: b, ~: c, 1.5: d}": data.NewMap(int64(1), "a", true, "b", nil, "c", 1.5, "d"),
	} {
		n, err := yaml.Salt("x.sls", []byte(text))
		if got := n.Data(); err != nil || !data.Equal(got, want) {
			t.Errorf("%s gives %#v, %v; want %#v", text, got, err, want)
		}
	}
}

func TestMergedKeysComeFirstAndTheirOwnerWins(t *testing.T) {
	n, err := yaml.Salt("x.sls", []byte("a: &a {k: 1, l: 1}\nb: &b {l: 2, m: 2}\nc:\n  own: 3\n  m: 3\n  <<: [*a, *b]\n"))
	if err != nil {
		t.Fatal(err)
	}
	got, _ := json.Marshal(n.Get("c").Data())
	if string(got) != `{"k":1,"l":1,"own":3,"m":3}` {
		t.Errorf("got %s", got)
	}
}

func TestWhatSaltRefusesIsRefusedWithItsPlace(t *testing.T) {
	for text, want := range map[string]string{
		"a: 1\nb: 2\na: 3\n":        "x.sls:3:1: duplicate key \"a\"",
		"0644: 1\n644: 2\n":         "x.sls:2:1: duplicate key \"644\"",
		"a: 1\n---\nb: 2\n":         "second document",
		"a: !unknown x\n":           "x.sls:1:4: the tag !unknown is",
		"a: !!int x\n":              `x.sls:1:4: "x" is no int`,
		"? [a, b]\n: 1\n":           "x.sls:1:3: a list cannot be a key",
		"a: *none\n":                "x.sls:1:4: found undefined alias 'none'",
		"a: &a [*a]\n":              "contains itself",
		strings.Repeat("[", 10_000): "x.sls:1",
	} {
		_, err := yaml.Salt("x.sls", []byte(text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: got %v, want %q", text, err, want)
		}
	}
}

func TestPlacesAreThoseOfTheTemplate(t *testing.T) {
	n, err := yaml.Salt("x.sls", []byte("\n\nloop1: a\nloop2: a\n\nplain: b\ntwice: c\n"))
	if err != nil {
		t.Fatal(err)
	}
	n.From("{% for %}\nloop{{ i }}: a\n{% endfor %}\nplain: b\n{# twice: c #}\n{% if x %}\ntwice: c\n{% else %}\ntwice: c\n{% endif %}\n")
	for key, want := range map[string]string{
		"plain": "x.sls:4:8: no\n    plain: b", "loop1": "x.sls:3:8: no (in the rendered text)\n    loop1: a", "twice": "x.sls:7:8: no (in the rendered text)\n    twice: c",
	} {
		if got := n.Get(key).Errorf("no").Error(); got != want {
			t.Errorf("%s: got %q, want %q", key, got, want)
		}
	}
	if got := n.Get("plain").Pos().String(); got != "x.sls:4:8" {
		t.Errorf("got %s", got)
	}
}

func FuzzSalt(f *testing.F) {
	f.Add([]byte("a: &a {b: 0644, c: 12:30, 1.5: .inf}\nd: {<<: *a, ~: yes}\n"))
	f.Add([]byte("- !!binary aGVsbG8=\n- !!int '0x1f'\n- ! 1_000\n"))
	f.Add([]byte("- !!float -+1:2:3.4e+5\n- -0777\n- +-1\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		started := time.Now()
		n, err := yaml.Salt("fuzz.sls", text)
		var all yaml.Errors
		if err != nil && !errors.As(err, &all) {
			t.Errorf("the error is a %T: %v", err, err)
		}
		v := n.Data()
		if took := time.Since(started); took > 10*time.Second {
			t.Errorf("took %s", took)
		}
		if !data.Equal(v, data.From(v)) && !strings.Contains(strings.ToLower(string(text)), "nan") {
			t.Errorf("no value of package data: %#v", v)
		}
	})
}
