package stateoutput

import (
	"fmt"
	"io"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/pkg/modules"
)

// nested writes a value as Salt's nested outputter does.
func nested(w io.Writer, at int, v any) {
	switch v := v.(type) {
	case *data.Map:
		fmt.Fprintln(w, indent(at, "----------"))
		for k, value := range v.All() {
			fmt.Fprintln(w, indent(at, modules.Text(k)+":"))
			nested(w, at+4, value)
		}
	case []any:
		for _, item := range v {
			switch item := item.(type) {
			case *data.Map, []any:
				fmt.Fprintln(w, indent(at, "|_"))
				nested(w, at+2, item)
			default:
				fmt.Fprintln(w, indent(at, "- "+modules.Text(item)))
			}
		}
	default:
		fmt.Fprintln(w, indent(at, modules.Text(v)))
	}
}

// PrintValue writes what a function returned, below the name of its minion.
func PrintValue(w io.Writer, name string, v any) {
	fmt.Fprintf(w, "%s:\n", name)
	nested(w, 4, v)
}
