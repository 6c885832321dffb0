package bus

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/brine-deploy/brine/pkg/fleet"
)

const python = "/usr/bin/python3"

// libzmq prepares a process that is the peer of the test, with a real libzmq.
func libzmq(t *testing.T, mode, address string, key KeyPair, peer fleet.Key) *exec.Cmd {
	t.Helper()
	if err := exec.Command(python, "-c", "import zmq; assert zmq.has('curve')").Run(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("needs python3-zmq (Debian package python3-zmq)")
		}
		t.Skip("needs python3-zmq (Debian package python3-zmq)")
	}
	cmd := exec.CommandContext(t.Context(), python, "testdata/peer.py", mode, address,
		hex.EncodeToString(key.Public[:]), hex.EncodeToString(key.secret()[:]), hex.EncodeToString(peer[:]))
	cmd.Stderr = os.Stderr
	return cmd
}

func quickBeats(cfg *ServerConfig) {
	cfg.Limits.Heartbeat, cfg.Limits.HeartbeatTimeout = 100*time.Millisecond, time.Second
}

func TestLibzmqDealerTalksToTheMasterUnderTheIdentityOfItsKey(t *testing.T) {
	m := startMaster(t, quickBeats)
	cmd := libzmq(t, "dealer", m.Addr().String(), m.accept(t, "web1"), m.key.Public)
	froms := m.echo(t)
	if out, err := cmd.Output(); err != nil || strings.TrimSpace(string(out)) != "ok" {
		t.Fatalf("libzmq said %q, %v", out, err)
	}
	for range len(froms) {
		if from := <-froms; from != "web1" {
			t.Errorf("a message came from %q", from)
		}
	}
}

func TestLibzmqDealerWithoutAnAcceptedKeySeesItsHandshakeFail(t *testing.T) {
	m := startMaster(t, nil)
	cmd := libzmq(t, "refused", m.Addr().String(), newKey(t), m.key.Public)
	if out, err := cmd.Output(); err != nil || strings.TrimSpace(string(out)) != "ok" {
		t.Fatalf("libzmq said %q, %v", out, err)
	}
	if got := m.log(); len(got) > 0 {
		t.Errorf("the master was told %v", got)
	}
}

func TestLibzmqDealerThatSendsPartsIsCut(t *testing.T) {
	m := startMaster(t, nil)
	cmd := libzmq(t, "parts", m.Addr().String(), m.accept(t, "web1"), m.key.Public)
	if out, err := cmd.Output(); err != nil || strings.TrimSpace(string(out)) != "ok" {
		t.Fatalf("libzmq said %q, %v", out, err)
	}
}

// startRouter starts a libzmq ROUTER and says how to connect to it.
func startRouter(t *testing.T, mode string) ClientConfig {
	t.Helper()
	router, key := newKey(t), newKey(t)
	cmd := libzmq(t, mode, "-", router, key.Public)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill() //nolint:errcheck // it may have ended
		cmd.Wait()         //nolint:errcheck // it was killed
	})
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return ClientConfig{Master: strings.TrimSpace(address), Key: key, MasterKey: router.Public}
}

func TestMinionTalksToALibzmqRouter(t *testing.T) {
	cfg := startRouter(t, "router")
	cfg.Limits.Heartbeat, cfg.Limits.HeartbeatTimeout = 100*time.Millisecond, time.Second
	c := dialWith(t, cfg)
	for _, size := range []int{0, 1, 255, 256, 4 << 20} {
		body := bytes.Repeat([]byte("x"), size)
		send(t, c, body)
		expectAt(t, c, body)
	}
	time.Sleep(2 * cfg.Limits.HeartbeatTimeout) // idle
	send(t, c, []byte("after idling"))
	expectAt(t, c, []byte("after idling"))

	cfg.MasterKey = newKey(t).Public
	cfg.Limits.HandshakeTimeout = 2 * time.Second
	if _, err := Dial(t.Context(), cfg); !errors.Is(err, ErrHandshake) {
		t.Errorf("with the wrong master key: %v", err)
	}
}

func TestLibzmqSubGetsTheTopicsThatItAskedFor(t *testing.T) {
	key := newKey(t)
	p, server := startPublisher(t, func(cfg *PublisherConfig) {
		cfg.Limits.Heartbeat, cfg.Limits.HeartbeatTimeout = 100*time.Millisecond, time.Second
	}, key)
	cmd := libzmq(t, "sub", p.Addr().String(), key, server)
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "SUB and XSUB hear", func() bool {
		before := p.Stats().Sent
		p.Publish("unwanted", nil)
		p.Publish("wanted/sync", nil)
		return p.Stats().Sent == before+2
	})
	for _, size := range []int{0, 1, 255, 256, 4 << 20} {
		p.Publish("wanted", nil)
		p.Publish(fmt.Sprint("wanted/", size), bytes.Repeat([]byte("x"), size))
	}
	if err := cmd.Wait(); err != nil || !strings.HasSuffix(out.String(), "ok\n") {
		t.Fatalf("libzmq said %q, %v", out.String(), err)
	}
}

func TestLibzmqSubWithoutAnAllowedKeySeesItsHandshakeFail(t *testing.T) {
	p, server := startPublisher(t, nil)
	cmd := libzmq(t, "refused-sub", p.Addr().String(), newKey(t), server)
	if out, err := cmd.Output(); err != nil || strings.TrimSpace(string(out)) != "ok" {
		t.Fatalf("libzmq said %q, %v", out, err)
	}
}

func TestLibzmqRouterThatSendsPartsIsLeft(t *testing.T) {
	c := dialWith(t, startRouter(t, "router-parts"))
	c.Send(t.Context(), []byte("to begin with")) //nolint:errcheck // the answer may be there first
	if _, err := c.Recv(t.Context()); !errors.Is(err, ErrClosed) || !errors.Is(err, errFrame) {
		t.Errorf("got %v", err)
	}
}
