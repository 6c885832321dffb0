package minion_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/brine-deploy/brine/minion"
	"github.com/brine-deploy/brine/minion/process"
	"github.com/brine-deploy/brine/pkg/bus"
	"github.com/brine-deploy/brine/pkg/config"
	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/pkg/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stage is a master that does what a test says, and the minion web1.
type stage struct {
	t     *testing.T
	dir   string
	bus   *bus.Server
	sign  wire.SigningKey
	key   string
	shift time.Duration // of the master's clock

	mu    sync.Mutex
	heard []any // guarded by mu; all that the minion sent, but probes
	stop  func()
}

func newStage(t *testing.T, shift time.Duration) *stage {
	t.Helper()
	s := &stage{t: t, dir: t.TempDir(), shift: shift}
	key, err := bus.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	if s.sign, err = wire.GenerateSigningKey(); err != nil {
		t.Fatal(err)
	}
	s.key = wire.MasterKey{Bus: key.Public, Sign: s.sign.Public()}.String()
	s.bus, err = bus.Listen(bus.ServerConfig{
		Listen: "127.0.0.1:0", Key: key, Authorize: func(fleet.Key, net.Addr) (string, error) { return "web1", nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	work.Go(s.receive)
	t.Cleanup(func() {
		s.stop()
		if err := s.bus.Close(); err != nil {
			t.Error(err)
		}
		work.Wait()
	})
	return s
}

func (s *stage) receive() {
	for {
		_, body, err := s.bus.Recv(context.Background())
		if err != nil {
			return
		}
		msg, err := wire.Decode(body)
		if err != nil {
			s.t.Error(err)
			return
		}
		switch m := msg.(type) {
		case wire.Enrol:
			s.send(wire.Ctl{Verb: wire.CtlAccepted})
		case wire.Probe:
			s.send(wire.Echo{N: m.N, Now: time.Now().Add(s.shift).UnixNano()})
			continue
		case wire.Ret:
			s.send(wire.Rack{RSeq: m.RSeq})
		}
		s.mu.Lock()
		s.heard = append(s.heard, msg)
		s.mu.Unlock()
	}
}

func (s *stage) send(msg any) {
	body, err := wire.Encode(msg)
	if err == nil {
		err = s.bus.Send("web1", body)
	}
	if err != nil {
		s.t.Error(err)
	}
}

// start starts the minion and waits for its hello.
func (s *stage) start() {
	s.t.Helper()
	before := s.hellos()
	m, err := minion.New(config.Minion{ID: "web1", Master: s.bus.Addr().String(), MasterKey: s.key, StateDir: filepath.Join(s.dir, "state")},
		"test", slog.New(slog.NewTextHandler(s.t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})), process.Supervisor{})
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := m.Run(ctx, func() {}); err != nil {
			s.t.Error(err)
		}
	}()
	s.stop = func() {
		cancel()
		<-done
	}
	s.until("the minion says hello", func() bool { return s.hellos() > before })
}

func (s *stage) hellos() (n int) {
	s.each(func(msg any) {
		if _, ok := msg.(wire.Hello); ok {
			n++
		}
	})
	return n
}

func (s *stage) each(do func(any)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, msg := range s.heard {
		do(msg)
	}
}

// returns gives the last parts that came, by job.
func (s *stage) returns() map[fleet.JobID][]fleet.Return {
	list := map[fleet.JobID][]fleet.Return{}
	s.each(func(msg any) {
		if m, ok := msg.(wire.Ret); ok && m.Return.Last {
			list[m.Return.Job] = append(list[m.Return.Job], m.Return)
		}
	})
	return list
}

// ack gives the acknowledgement of a number.
func (s *stage) ack(seq uint64) (found *wire.Ack) {
	s.t.Helper()
	s.until(fmt.Sprintf("job %d is acknowledged", seq), func() bool {
		s.each(func(msg any) {
			if m, ok := msg.(wire.Ack); ok && m.Seq == seq {
				found = &m
			}
		})
		return found != nil
	})
	return found
}

func (s *stage) ended(id fleet.JobID) fleet.Return {
	s.t.Helper()
	s.until(string(id)+" is returned", func() bool { return len(s.returns()[id]) > 0 })
	return s.returns()[id][0]
}

func (s *stage) until(what string, done func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("waited in vain until %s", what)
		}
	}
}

// job makes a command that the master signed, whose deadline is so long after the master's present.
func (s *stage) job(seq uint64, id fleet.JobID, command string, left time.Duration) wire.Job {
	s.t.Helper()
	args, err := json.Marshal(fleet.Call{Args: []any{command}})
	if err != nil {
		s.t.Fatal(err)
	}
	now := time.Now().Add(s.shift)
	body, sig, err := wire.Sign(s.sign, fleet.Job{ID: id, Minion: "web1", Function: "cmd.run", Args: args, Issued: now, Deadline: now.Add(left)})
	if err != nil {
		s.t.Fatal(err)
	}
	return wire.Job{Seq: seq, Body: body, Sig: sig}
}

func TestAJobDeliveredAgainAfterARestartRunsOnce(t *testing.T) {
	s := newStage(t, 0)
	s.start()
	file := filepath.Join(s.dir, "runs")
	first := s.job(1, "j1", "echo ran >> "+file, time.Minute)
	s.send(first)
	s.send(first)
	s.ended("j1")
	s.stop()
	s.start()
	again := first
	again.Seq = 2 // a master that lost its journal counts anew; the id is what counts
	s.send(first)
	s.send(again)
	s.ack(2)
	s.send(s.job(3, "j3", "true", time.Minute))
	s.ended("j3")
	if text, err := os.ReadFile(file); err != nil || string(text) != "ran\n" {
		t.Errorf("it ran as %q, %v", text, err)
	}
	if n := len(s.returns()["j1"]); n != 1 {
		t.Errorf("%d returns", n)
	}
}

func TestADeadlineIsOneOfTheMastersClock(t *testing.T) {
	for name, c := range map[string]struct {
		shift, left time.Duration
		want        fleet.Outcome
	}{
		"this clock is ahead, the job in time":  {-2 * time.Hour, time.Minute, fleet.Succeeded},
		"this clock is behind, the job late":    {2 * time.Hour, -time.Minute, fleet.Refused},
		"this clock is behind, the job in time": {2 * time.Hour, time.Minute, fleet.Succeeded},
		"the clocks agree, the job late":        {0, -time.Minute, fleet.Refused},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, c.shift)
			s.start()
			s.send(s.job(1, "j1", "true", c.left))
			if ret := s.ended("j1"); ret.Outcome != c.want {
				t.Errorf("%s: %s", ret.Outcome, ret.Reason)
			}
		})
	}
}

func TestAJobThatTheMasterDidNotSignIsRefusedAloud(t *testing.T) {
	s := newStage(t, 0)
	s.start()
	forged := s.job(1, "j1", "touch "+filepath.Join(s.dir, "ran"), time.Minute)
	forged.Body = bytes.Replace(forged.Body, []byte("touch"), []byte("tough"), 1)
	s.send(forged)
	if ack := s.ack(1); !strings.Contains(ack.Refused, "signature") {
		t.Errorf("acknowledged with %+v", ack)
	}
}

func TestAJobKilledBeforeItCameIsToldOf(t *testing.T) {
	s := newStage(t, 0)
	s.start()
	for range 2 {
		s.send(wire.Ctl{Verb: wire.CtlKill, Job: "j1", Reason: "alice"})
	}
	if ret := s.ended("j1"); ret.Outcome != fleet.Killed || ret.Reason != "killed by alice before it ran" {
		t.Errorf("%s: %s", ret.Outcome, ret.Reason)
	}
	// One that has ended keeps its outcome.
	s.send(s.job(1, "j2", "true", time.Minute))
	s.ended("j2")
	s.send(wire.Ctl{Verb: wire.CtlKill, Job: "j2", Reason: "alice"})
	s.send(s.job(2, "j3", "true", time.Minute))
	s.ended("j3")
	if list := s.returns()["j2"]; len(list) != 1 || list[0].Outcome != fleet.Succeeded {
		t.Errorf("returns %+v", list)
	}
}

func TestWhatScriptsSayIsToldWhileSomebodyWatches(t *testing.T) {
	s := newStage(t, 0)
	s.start()
	log := filepath.Join(s.dir, "state/releases/logs/d1-deploy-1/03-AfterInstall.log")
	if err := os.MkdirAll(filepath.Dir(log), 0o700); err != nil {
		t.Fatal(err)
	}
	write := func(text string) {
		t.Helper()
		f, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err == nil {
			_, err = f.WriteString(text)
		}
		if err != nil {
			t.Fatal(err)
		}
		_ = f.Close()
	}
	told := func() (lines []string) {
		s.each(func(msg any) {
			if m, ok := msg.(wire.Log); ok {
				var list []fleet.LogLine
				if err := json.Unmarshal(m.Lines, &list); err != nil {
					t.Error(err)
				}
				for _, l := range list {
					lines = append(lines, l.Script+" "+l.Time.UTC().Format(time.TimeOnly)+" "+l.Text)
				}
			}
		})
		return lines
	}
	write("2026-05-01T12:00:00.000+00:00 one\n2026-05-01T12:00:01.000+00:00 tw")
	s.send(s.job(1, "j1", "sleep 0.5", time.Minute))
	s.ended("j1")
	if got := told(); got != nil {
		t.Errorf("told without being asked: %q", got)
	}
	s.send(wire.Ctl{Verb: wire.CtlLog, Job: "d1-deploy-1"})
	s.until("the first line comes", func() bool { return len(told()) == 1 })
	write("o\n" + strings.Repeat("2026-05-01T12:00:02.000+00:00 x\n", 100_000) + "2026-05-01T12:00:03.000+00:00 last\n")
	s.until("the last line comes", func() bool {
		lines := told()
		return strings.HasSuffix(lines[len(lines)-1], "12:00:03 last")
	})
	lines := told()
	if lines[0] != "03-AfterInstall 12:00:00 one" || len(lines) > 5000 || !strings.Contains(lines[1], "bytes are left out here]") {
		t.Errorf("%d lines: %q", len(lines), lines[:2])
	}
}
