package text_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"

	"github.com/brine-deploy/brine/cmd/brine/text"
)

// FuzzValue shows what minions return: whatever that is, no line of it may steer the terminal.
func FuzzValue(f *testing.F) {
	f.Add(`{"a":["\u001b[31m",1.5,null],"b\n":{"\u009b":"x\r\ny"}}`)
	f.Add("\x1b]0;no json")
	f.Fuzz(func(t *testing.T, raw string) {
		for _, line := range text.Value(json.RawMessage(raw)) {
			if i := strings.IndexFunc(line, func(r rune) bool { return r != '\t' && unicode.IsControl(r) }); i >= 0 {
				t.Fatalf("control character in %q", line)
			}
		}
	})
}
