package args

import (
	"fmt"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/states/state"
)

// Failed is the result of a state that could not be made true.
func Failed(format string, values ...any) state.Result {
	return state.Result{Verdict: state.False, Comment: fmt.Sprintf(format, values...)}
}

// Exception is Failed of what Salt would have raised.
func Exception(format string, values ...any) state.Result {
	res := Failed(format, values...)
	res.Reason = "exception"
	return res
}

// Fine is the result of a state that was true already.
func Fine(format string, values ...any) state.Result {
	return state.Result{Verdict: state.True, Comment: fmt.Sprintf(format, values...)}
}

// Would is the result with test=True of a state that is not true yet. Salt does not always say what would change.
func Would(changes *data.Map, format string, values ...any) state.Result {
	return state.Result{Verdict: state.Pending, Comment: fmt.Sprintf(format, values...), Changes: changes}
}

// Done is the result of a state that was made true.
func Done(changes *data.Map, format string, values ...any) state.Result {
	return state.Result{Verdict: state.True, Comment: fmt.Sprintf(format, values...), Changes: changes}
}
