package archive

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// links holds the symbolic links of one tree: slash-separated name -> target.
type links map[string]string

// check refuses a link that leads out of the tree, directly or through other links. It needs all links of the tree: one
// that is harmless alone may leave it through another.
func (l links) check() error {
	for name := range l {
		if !l.inside(name) {
			return refuse(name, fmt.Sprintf("links to %q, which is outside the archive", l[name]))
		}
	}
	return nil
}

// maxHops is where the kernel gives up too (ELOOP), so that nothing is reached through a longer chain.
const maxHops = 40

// inside walks from name as the kernel would, and reports whether every step stays in the tree.
func (l links) inside(name string) bool {
	at := split(path.Dir(name))
	todo := []string{path.Base(name)}
	for hops := 0; len(todo) > 0; {
		next := todo[0]
		todo = todo[1:]
		if next == ".." {
			if len(at) == 0 {
				return false
			}
			at = at[:len(at)-1]
			continue
		}
		target, isLink := l[path.Join(path.Join(at...), next)]
		if !isLink {
			at = append(at, next)
			continue
		}
		if hops++; hops > maxHops {
			return true
		}
		if path.IsAbs(target) {
			return false
		}
		todo = slices.Concat(split(target), todo)
	}
	return true
}

func split(name string) []string {
	return slices.DeleteFunc(strings.Split(name, "/"), func(s string) bool { return s == "" || s == "." })
}
