package modules

import (
	"context"
	"log/slog"

	"github.com/brine-deploy/brine/pkg/data"
)

// logFamily lets templates write to the minion's log, as formulas do to be understood.
func logFamily() map[string]Function {
	all := map[string]Function{}
	for name, level := range map[string]slog.Level{
		"debug": slog.LevelDebug, "info": slog.LevelInfo, "warning": slog.LevelWarn, "error": slog.LevelError, "critical": slog.LevelError,
	} {
		all["log."+name] = Function{
			Doc:    "Writes to this minion's log; true.\nmessage\n  log." + name + " 'hello'",
			Params: []string{"message"},
			Run: func(ctx context.Context, env *Env, args *data.Map) (any, error) {
				if env.Log != nil {
					env.Log.Log(ctx, level, "a template says", "text", Text(arg(args, "message", "")))
				}
				return true, nil
			},
		}
	}
	return all
}
