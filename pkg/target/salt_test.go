package target

import (
	"encoding/json"
	"os"
	"slices"
	"testing"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// saltCases are answers that were recorded from Salt.
type saltCases struct {
	Minions map[string]struct {
		Grains fleet.Grains
		Pillar map[string]any
	}
	Nodegroups Nodegroups
	Cases      []struct {
		N        int
		Type     string
		Expr     any // text or a list
		Expected []string
		Invalid  bool
	}
}

// notAsSalt are the cases that brine answers otherwise than Salt, by number, with the reason.
func notAsSalt() map[int]string {
	return map[int]string{
		241: "parentheses need no spaces; Salt takes (web1 for an id",
		304: "a malformed match is an error before anything happens; Salt logs it and takes it as no match",
	}
}

// stricter are the cases in which Salt quietly matches nobody and brine says what is wrong.
func stricter() map[int]string {
	return map[int]string{
		239: "() has nothing in it",
		245: "an unknown letter before the @",
	}
}

// compileCase compiles a case's expression, text or a list.
func compileCase(kind string, expr any, groups Nodegroups) (*Target, error) {
	list, isList := expr.([]any)
	if !isList {
		return Compile(Kind(kind), expr.(string), "", groups)
	}
	words := make([]string, 0, len(list))
	for _, v := range list {
		words = append(words, v.(string))
	}
	return CompileWords(Kind(kind), words, groups)
}

func TestAnswersAreSalts(t *testing.T) {
	data, err := os.ReadFile("testdata/cases.json")
	if err != nil {
		t.Fatal(err)
	}
	var all saltCases
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	if len(all.Cases) < 150 {
		t.Fatalf("only %d cases", len(all.Cases))
	}
	deviate, strict := notAsSalt(), stricter()
	for _, c := range all.Cases {
		got := []string{}
		m, err := compileCase(c.Type, c.Expr, all.Nodegroups)
		for id, minion := range all.Minions {
			if err == nil && m.Match(Subject{ID: fleet.MinionID(id), Grains: minion.Grains, Pillar: minion.Pillar}) {
				got = append(got, id)
			}
		}
		slices.Sort(got)
		slices.Sort(c.Expected)
		same := slices.Equal(got, c.Expected) && (err != nil) == (c.Invalid || strict[c.N] != "")
		if why := deviate[c.N]; same == (why != "") {
			t.Errorf("case %d, %s %q: got %v (error: %v); Salt: %v (invalid: %t); deviates: %q", c.N, c.Type, c.Expr, got, err, c.Expected, c.Invalid, why)
		}
	}
}
