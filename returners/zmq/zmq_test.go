package zmq_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/brine-deploy/brine/pkg/config"
	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/pkg/registry"
	"github.com/brine-deploy/brine/returners"
	"github.com/brine-deploy/brine/returners/zmq"
)

const python = "/usr/bin/python3"

func section(t *testing.T, text string) registry.Section {
	t.Helper()
	s, err := config.NewSection("zmq", text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// measures keeps what a stream shows.
type measures map[string]func() float64

func (m measures) Gauge(name, _ string, value func() float64, labels ...string) {
	m[name+"{"+strings.Join(labels, "=")+"}"] = value
}

func (m measures) Counter(name, help string, value func() float64, labels ...string) {
	m.Gauge(name, help, value, labels...)
}

func TestLibzmqSubscriberGetsTheRecordsOfItsTopic(t *testing.T) {
	if err := exec.Command(python, "-c", "import zmq; assert zmq.has('curve')").Run(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("needs python3-zmq (Debian package python3-zmq)")
		}
		t.Skip("needs python3-zmq (Debian package python3-zmq)")
	}
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	client := exec.CommandContext(t.Context(), python, "testdata/subscriber.py", "brine/event/shop/")
	var out bytes.Buffer
	client.Stdout, client.Stderr = &out, os.Stderr
	in, err := client.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	pair, err := exec.Command(python, "-c", "import zmq; print(b' '.join(zmq.curve_keypair()).decode())").Output()
	if err != nil {
		t.Fatal(err)
	}
	public, _, _ := strings.Cut(strings.TrimSpace(string(pair)), " ")

	var log bytes.Buffer
	text, _ := json.Marshal(map[string]any{"listen": "127.0.0.1:0", "key": filepath.Join(t.TempDir(), "zmq.key"), "subscribers": []string{public}})
	r, err := zmq.Plugin().New(section(t, string(text)), slog.New(slog.NewJSONHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer r.(io.Closer).Close()
	shown := measures{}
	r.(returners.Measured).Measure(shown, "stream")
	var line struct {
		Listen string `json:"listen"`
		Key    string `json:"public_key"`
	}
	if err := json.Unmarshal(log.Bytes(), &line); err != nil {
		t.Fatalf("%v: %s", err, log.String())
	}
	if err := client.Start(); err != nil {
		t.Fatal(err)
	}
	io.WriteString(in, line.Listen+"\n"+line.Key+"\n"+string(pair))
	in.Close()

	event := fleet.Record{Seq: 7, Kind: fleet.MinionEvent, App: "shop", Group: "production", Minion: "web1", Time: time.Unix(1, 0).UTC()}
	others := []fleet.Record{
		{Seq: 1, Kind: fleet.MinionEvent, App: "shop2", Group: "production"},
		{Seq: 2, Kind: fleet.DeploymentChanged, App: "shop", Group: "production"},
		{Seq: 3, Kind: fleet.KeyChanged},
	}
	for end := time.Now().Add(10 * time.Second); shown["brine_stream_sent_total{returner=stream}"]() == 0; time.Sleep(5 * time.Millisecond) {
		if err := r.Deliver(t.Context(), append(others, event)); err != nil {
			t.Fatal(err)
		}
		if time.Now().After(end) {
			t.Fatal("nobody subscribed")
		}
	}
	if err := client.Wait(); err != nil {
		t.Fatal(err)
	}
	topic, body, _ := strings.Cut(out.String(), "\n")
	var got fleet.Record
	if err := json.Unmarshal([]byte(body), &got); err != nil || topic != "brine/event/shop/production/" || got != event {
		t.Errorf("got %q %q, %v", topic, body, err)
	}
}

func TestConfigurationIsChecked(t *testing.T) {
	key := filepath.Join(t.TempDir(), "zmq.key")
	for text, want := range map[string]string{
		`{any: true}`:        "key is missing",
		`{key: ` + key + `}`: "either subscribers",
		`{key: ` + key + `, subscribers: [x], any: true}`:                                        "key is neither Z85",
		`{key: ` + key + `, subscribers: ["` + strings.Repeat("#", 40) + `"]}`:                   "was it copied whole",
		`{key: ` + key + `, subscribers: ["` + strings.Repeat("0", 39) + `\""]}`:                 "was it copied whole",
		`{key: ` + key + `, any: true, listen: "256.0.0.1:1"}`:                                   "open the publisher",
		`{key: ` + key + `, any: true, subscribers: ["` + strings.Repeat("A", 43) + `="]}`:       "either subscribers",
		`{key: ` + filepath.Join(key, "no", "directory") + `, any: true, listen: "127.0.0.1:0"}`: "bus key",
	} {
		_, err := zmq.Plugin().New(section(t, text), slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestKeysAreReadInBothForms(t *testing.T) {
	var a, b zmq.Key
	// The example of RFC 32 and more of it, so that there are 32 bytes.
	if err := a.UnmarshalText([]byte(strings.Repeat("HelloWorld", 4))); err != nil {
		t.Fatal(err)
	}
	same := strings.Repeat("\x86\x4f\xd2\x6f\xb5\x59\xf7\x5b", 4)
	text, _ := fleet.Key([]byte(same)).MarshalText()
	if err := b.UnmarshalText(text); err != nil || a != b || string(a[:]) != same {
		t.Errorf("%x, %x, %v", a, b, err)
	}
}

func FuzzKey(f *testing.F) {
	f.Add(strings.Repeat("HelloWorld", 4))
	f.Add(strings.Repeat("#", 40))
	f.Fuzz(func(t *testing.T, text string) {
		var k, again zmq.Key
		if k.UnmarshalText([]byte(text)) != nil {
			return
		}
		whole, _ := fleet.Key(k).MarshalText()
		if err := again.UnmarshalText(whole); err != nil || again != k {
			t.Fatalf("%q does not come back: %v", text, err)
		}
	})
}
