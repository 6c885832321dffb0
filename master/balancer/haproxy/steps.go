package haproxy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// The functions here decide and touch nothing: each looks at one server as it is now and says which commands bring it
// nearer to the goal. They are asked again and again until nothing is left to do, so that a restart of HAProxy, which
// forgets what the socket was told, is mended on the way.

// step is what to do now; without commands: wait, or nothing at all when done.
type step struct {
	commands []string
	done     bool
}

// drainStep leads a server out of its backend.
func drainStep(ref string, s server, exists bool) step {
	switch {
	case !exists, s.maint() && s.open == 0:
		return step{done: true}
	case s.ready():
		return step{commands: []string{setState(ref, "drain")}}
	case s.draining() && s.open == 0:
		return step{commands: []string{setState(ref, "maint")}}
	}
	return step{}
}

// activateStep leads a server into its backend. HAProxy sends traffic to a server that leaves maintenance at once, before
// any check. So it goes from maint to drain, where it is checked but gets no traffic, its health is declared down there, and
// only when it has been found up again, by checks newer than this, it becomes ready. proving says that it is on this way.
//
//	missing -> maint -> drain, health down -> drain, found healthy -> ready
func activateStep(ref string, s server, exists, proving bool, at netip.AddrPort, options []string) (next step, nowProving bool) {
	prove := []string{setState(ref, "drain")}
	if s.checked() {
		prove = append(prove, "enable health "+ref, "set server "+ref+" health down")
	}
	switch {
	case !exists:
		return step{commands: []string{addServer(ref, at, options)}}, false
	case s.address != at:
		return step{commands: []string{setState(ref, "maint"), fmt.Sprintf("set server %s addr %s port %d", ref, at.Addr(), at.Port())}}, false
	case s.ready():
		return step{done: s.healthy()}, false
	case s.maint(), !proving:
		return step{commands: prove}, true
	case s.healthy():
		return step{commands: []string{setState(ref, "ready")}}, true
	}
	return step{}, true
}

func setState(ref, state string) string { return "set server " + ref + " state " + state }

// addServer adds a server, which begins in maintenance.
func addServer(ref string, at netip.AddrPort, options []string) string {
	words := slices.DeleteFunc(slices.Clone(options), func(o string) bool { return o == "enabled" })
	return "add server " + ref + " " + at.String() + " " + strings.Join(words, " ")
}
