package master

import (
	"context"
	"testing"

	"github.com/brine-deploy/brine/pkg/fleet"
)

func TestOneMinionsRequestsTakeNoOthersPlaces(t *testing.T) {
	var s slow
	ctx, cancel := context.WithCancel(t.Context())
	gate, served := make(chan struct{}), make(chan fleet.MinionID, slowPerMinion+2)
	ask := func(from fleet.MinionID) bool {
		return s.start(ctx, from, func() {
			<-gate
			served <- from
		})
	}
	for range slowPerMinion {
		if !ask("greedy") {
			t.Fatal("refused too early")
		}
	}
	if ask("greedy") {
		t.Error("one minion has more than its share")
	}
	if !ask("modest") {
		t.Error("another minion waits for the greedy one")
	}
	close(gate)
	s.running.Wait()
	if len(served) != slowPerMinion+1 {
		t.Errorf("%d are served", len(served))
	}
	if !ask("greedy") {
		t.Error("what was served still counts")
	}
	cancel()
	s.running.Wait()
}
