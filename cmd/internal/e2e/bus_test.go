package e2e

import (
	"bufio"
	"bytes"
	"crypto/ecdh"
	"encoding/base64"
	"encoding/hex"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/brine-deploy/brine/cmd/internal/fleettest"
	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/pkg/wire"
)

func TestTheBusShowsNothingOfAJob(t *testing.T) {
	t.Parallel()
	s := fleettest.StartShop(t, fleettest.ShopConfig{Bin: bin})
	s.Commit("v1")
	tap := fleettest.StartTap(t, "127.0.0.1:"+s.Bus)
	s.Env = []string{"BRINE_MASTER=" + tap.Address}
	s.AddMinion("web1")

	const marker = "PLAINTEXT-MARKER"
	if out := s.Must(0, "run", "web1", "cmd.run", "echo "+marker).Stdout; !strings.Contains(out, marker) {
		t.Fatalf("the job gave:\n%s", out)
	}
	s.Must(0, "deploy", "shop", "production", "--ref", "v1", "--yes")
	wantAll(t, s, "v1")

	up, down := tap.Bytes()
	for way, sent := range map[string][]byte{"minion to master": up, "master to minion": down} {
		if len(sent) < 1000 || sent[0] != 0xff || sent[10] != 3 || !bytes.HasPrefix(sent[12:], []byte("CURVE\x00")) {
			t.Errorf("%s: no ZMTP greeting with CURVE before %d bytes: % x", way, len(sent), sent[:min(32, len(sent))])
		}
		for _, secret := range []string{marker, "cmd.run", "deploy.release", "web1", "shop", "AGE-SECRET-KEY", "function", "http://", "token", "grains"} {
			if bytes.Contains(sent, []byte(secret)) {
				t.Errorf("%s: %q can be read", way, secret)
			}
		}
	}
}

// TestLibzmqIsLetInWithAnAcceptedKeyAndOnlyThen makes libzmq web1, with the key of the real one.
func TestLibzmqIsLetInWithAnAcceptedKeyAndOnlyThen(t *testing.T) {
	t.Parallel()
	s := fleettest.StartShop(t, fleettest.ShopConfig{Bin: bin, Minions: 1})
	s.Kill("web1")
	s.Await("web1 is gone", func() bool { return !connected(s) })

	wrong := startDealer(t, s, func(key *fleet.Key) { key[0] ^= 1 })
	wrong.await("HANDSHAKE_FAILED_NO_DETAIL")
	if connected(s) {
		t.Error("it is connected with another master's key")
	}

	dealer := startDealer(t, s, func(*fleet.Key) {})
	dealer.await("HANDSHAKE_SUCCEEDED")
	s.Await("libzmq is web1", func() bool { return connected(s) })
	s.Must(0, "keys", "revoke", "web1")
	dealer.await("DISCONNECTED")
	dealer.await("HANDSHAKE_FAILED_AUTH") // it tries again by itself
}

func connected(s *fleettest.Shop) bool {
	var minions []fleet.Minion
	err := s.API(s.T.Context(), "/v1/minions", &minions)
	return err == nil && len(minions) == 1 && minions[0].Connected
}

// dealer is libzmq in a process of its own.
type dealer struct {
	t      *testing.T
	events *bufio.Scanner
}

// startDealer connects it to the master with web1's key. alter may change the master's key that it pins.
func startDealer(t *testing.T, s *fleettest.Shop, alter func(*fleet.Key)) *dealer {
	t.Helper()
	const python = "/usr/bin/python3"
	if exec.Command(python, "-c", "import zmq; assert zmq.has('curve')").Run() != nil {
		fleettest.Needs(t, "a python3 with libzmq", "Debian package python3-zmq")
	}
	text, err := os.ReadFile(filepath.Join(s.Dir, "web1", "state", "minion.key"))
	if err != nil {
		t.Fatal(err)
	}
	secret, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdh.X25519().NewPrivateKey(secret)
	if err != nil {
		t.Fatal(err)
	}
	master, err := wire.ParseMasterKey(s.MasterKey())
	if err != nil {
		t.Fatal(err)
	}
	alter(&master.Bus)
	cmd := exec.CommandContext(t.Context(), python, "testdata/dealer.py", "127.0.0.1:"+s.Bus,
		hex.EncodeToString(key.PublicKey().Bytes()), hex.EncodeToString(secret), hex.EncodeToString(master.Bus[:]))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_, _ = io.Copy(io.Discard, out) // it ends with the test's context
		_ = cmd.Wait()
	})
	return &dealer{t, bufio.NewScanner(out)}
}

// await reads events until the one that is wanted. A handshake that succeeds where it must not is told at once.
func (d *dealer) await(event string) {
	d.t.Helper()
	for d.events.Scan() {
		switch d.events.Text() {
		case event:
			return
		case "HANDSHAKE_SUCCEEDED":
			d.t.Fatalf("the handshake succeeded before %s", event)
		}
	}
	d.t.Fatalf("%s never came", event)
}
