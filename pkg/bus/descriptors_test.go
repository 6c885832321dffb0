package bus

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// fewDescriptors makes a process of this test binary a master that has few descriptors and accepts one key.
const fewDescriptors = "BRINE_TEST_FEW_DESCRIPTORS"

// TestMain is the master of TestMasterWithoutDescriptorsServesOn when the environment says so.
func TestMain(m *testing.M) {
	if key := os.Getenv(fewDescriptors); key != "" {
		if err := serveWithFewDescriptors(key); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func serveWithFewDescriptors(accepted string) error {
	limit := syscall.Rlimit{Cur: 40, Max: 40}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	var known fleet.Key
	if err := known.UnmarshalText([]byte(accepted)); err != nil {
		return err
	}
	m, err := newMaster(func(cfg *ServerConfig) { cfg.Limits.HandshakeTimeout = 2 * time.Second })
	if err != nil {
		return err
	}
	defer m.Close()
	m.ids[known] = "web1"
	public, _ := m.key.Public.MarshalText()
	fmt.Println(m.Addr(), string(public))
	go func() { // the parent closes stdin to end it, and asks for the numbers with a line
		for in := bufio.NewScanner(os.Stdin); in.Scan(); {
			fmt.Println(m.Stats().AcceptErrors)
		}
		m.Close()
	}()
	for {
		from, body, err := m.Recv(context.Background())
		if err != nil {
			return nil //nolint:nilerr // it was closed
		}
		if err := m.Send(from, body); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
}

func TestMasterWithoutDescriptorsServesOn(t *testing.T) {
	key := newKey(t)
	text, _ := key.Public.MarshalText()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), os.Args[0])
	cmd.Env = append(os.Environ(), fewDescriptors+"="+string(text))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	})
	lines := bufio.NewScanner(out)
	line := func() string { lines.Scan(); return lines.Text() }
	address, public, _ := strings.Cut(line(), " ")
	cfg := ClientConfig{Master: address, Key: key}
	if err := cfg.MasterKey.UnmarshalText([]byte(public)); err != nil {
		t.Fatal(err)
	}
	good := dialWith(t, cfg)
	for n := range 50 {
		knockAt(t, address, fmt.Sprint("127.0.0.", 2+n/20)) // and says nothing
	}
	waitFor(t, "it is out of descriptors", func() bool {
		fmt.Fprintln(in)
		n, _ := strconv.Atoi(line())
		return n > 0
	})
	if took := roundTrips(t, good, 500*time.Millisecond); took[len(took)-1] > time.Second {
		t.Errorf("a round trip took %v", took[len(took)-1])
	}
	cfg.Limits.HandshakeTimeout = time.Minute
	again := dialWith(t, cfg) // gets in once the silent ones are thrown out
	send(t, again, []byte("back"))
	expectAt(t, again, []byte("back"))
}
