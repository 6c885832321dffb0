package run

import (
	"github.com/brine-deploy/brine/states/compile"
	"github.com/brine-deploy/brine/states/state"
)

// Succeeded reports whether results are a success: no state failed, or those that did have an onfail with onfail_stop
// false that did not. High may be nil.
func Succeeded(high *compile.High, results []*Result) bool {
	for _, res := range results {
		if res.Verdict == state.False && !handled(high, results, res) {
			return false
		}
	}
	return true
}

// handled reports whether all that is there for a state's failure succeeded, and something is.
func handled(high *compile.High, results []*Result, failed *Result) bool {
	good := false
	for _, h := range high.Handlers(failed.State, failed.ID) {
		for _, res := range results {
			if res.State != h.State || res.ID != h.ID {
				continue
			}
			if res.Verdict == state.False {
				return false
			}
			good = good || res.Verdict == state.True
		}
	}
	return good
}
