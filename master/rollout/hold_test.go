package rollout

import (
	"context"
	"testing"
	"testing/synctest"
)

func TestDeploymentsOfOneGroupTakeTurnsOnAMinion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &Rollout{}
		batch, err := r.Hold(t.Context(), "shop", "production", "web2", "web1")
		if err != nil {
			t.Fatal(err)
		}
		elsewhere, err := r.Hold(t.Context(), "shop", "staging", "web1")
		if err != nil {
			t.Fatal(err)
		}
		elsewhere()
		ctx, cancel := context.WithCancel(t.Context())
		turns := make(chan string, 2)
		for who, ctx := range map[string]context.Context{"patient": t.Context(), "impatient": ctx} {
			go func() {
				release, err := r.Hold(ctx, "shop", "production", "web0", "web1")
				if err != nil {
					turns <- who + " gave up"
					return
				}
				turns <- who
				release()
			}()
		}
		synctest.Wait()
		if len(turns) != 0 {
			t.Fatalf("the batch's minion went to the %s", <-turns)
		}
		cancel()
		if got := <-turns; got != "impatient gave up" {
			t.Errorf("first %s", got)
		}
		batch()
		if got := <-turns; got != "patient" {
			t.Errorf("then %s", got)
		}
	})
}
