package statetest_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/brine-deploy/brine/states"
)

var update = flag.Bool("update", false, "write docs/states.md anew")

const head = `# States

Every function of every family of states, with its arguments. What each argument means is Salt's (3006); what differs is
in docs/salt.md. Beside these, every state takes name, names, require and the other requisites, onlyif, unless, creates, check_cmd, retry,
order, failhard, parallel, and so on. An argument that a function does not know is a warning.

This file is made by ` + "`go test ./states/statetest -update`" + `.
`

func TestTheReferenceOfStatesIsUpToDate(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString(head)
	all := states.All()
	for _, family := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(&b, "\n## %s\n\n| function | what it does | arguments |\n| --- | --- | --- |\n", family)
		for _, name := range slices.Sorted(maps.Keys(all[family])) {
			f := all[family][name]
			params := strings.Join(slices.DeleteFunc(slices.Clone(f.Params), func(p string) bool { return p == "*" }), ", ")
			if slices.Contains(f.Params, "*") {
				params = strings.TrimPrefix(params+", any", ", ")
			}
			doc := strings.NewReplacer("\n", " ", "|", `\|`).Replace(strings.TrimSpace(f.Doc))
			fmt.Fprintf(&b, "| %s.%s | %s | %s |\n", family, name, doc, params)
		}
	}
	const path = "../../docs/states.md"
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil { //nolint:gosec // for all to read
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(path)
	if err != nil || string(have) != b.String() {
		t.Errorf("docs/states.md is not what states say of themselves (%v): run go test ./states/statetest -update", err)
	}
}
