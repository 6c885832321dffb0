package yaml

import (
	"slices"
	"strings"
)

// Nearest returns the known name that somebody who wrote name most probably meant, or "" when none is near.
func Nearest(name string, known []string) string {
	best, bestDistance := "", 1+max(1, len(name)/3)
	for _, k := range known {
		if d := distance(fold(name), fold(k)); d < bestDistance {
			best, bestDistance = k, d
		}
	}
	return best
}

// Suggest returns the hint for an unknown name: the nearest known one, or all of them.
func Suggest(name string, known []string) string {
	if k := Nearest(name, known); k != "" {
		return `did you mean "` + k + `"?`
	}
	if len(known) == 0 {
		return "none is known here"
	}
	known = slices.Sorted(slices.Values(known))
	return "known: " + strings.Join(known, ", ")
}

func fold(s string) string {
	return strings.ToLower(strings.NewReplacer("-", "_", " ", "_").Replace(s))
}

// distance is the number of letters to insert, delete, replace or swap (optimal string alignment).
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 { // nobody mistypes that; and it bounds the work
		return 64
	}
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
