package minion_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/brine-deploy/brine/pkg/wire"
)

func TestAJobIsAcknowledgedWhileItRunsOrByItsReturn(t *testing.T) {
	s := newStage(t, 0)
	s.start()
	s.send(s.job(1, "short", "true", time.Minute))
	s.ended("short")
	end := filepath.Join(s.dir, "end")
	s.send(s.job(2, "long", "until [ -e "+end+" ]; do sleep 0.02; done", time.Minute))
	s.ack(2)
	if len(s.returns()["long"]) > 0 {
		t.Error("the long job was acknowledged after its end")
	}
	s.each(func(msg any) {
		if m, ok := msg.(wire.Ack); ok && m.Seq == 1 {
			t.Error("the short job was returned, and acknowledged as well")
		}
	})
	touch(t, end)
	s.ended("long")
}

func TestAJobWhoseConnectionBreaksBeforeTheAcknowledgementRunsOnce(t *testing.T) {
	s := newStage(t, 0)
	s.start()
	runs, end := filepath.Join(s.dir, "runs"), filepath.Join(s.dir, "end")
	job := s.job(1, "j1", "echo ran >> "+runs+"; until [ -e "+end+" ]; do sleep 0.02; done", time.Minute)
	s.send(job)
	s.until("it runs", func() bool { _, err := os.Stat(runs); return err == nil })
	before := s.hellos()
	s.bus.Disconnect("web1")
	s.until("the minion is back", func() bool { return s.hellos() > before })
	s.send(job) // a master sends what was not acknowledged
	s.ack(1)
	touch(t, end)
	s.ended("j1")
	if text, err := os.ReadFile(runs); err != nil || string(text) != "ran\n" {
		t.Errorf("it ran as %q, %v", text, err)
	}
}

func touch(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}
