package master

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/brine-deploy/brine/pkg/bus"
	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/returners"
	"github.com/brine-deploy/brine/returners/prometheus"
	"github.com/brine-deploy/brine/returners/zmq"
)

func TestMetricsShowTheBusAndEachStream(t *testing.T) {
	key, err := bus.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	server, err := bus.Listen(bus.ServerConfig{Listen: "127.0.0.1:0", Key: key, Authorize: func(fleet.Key, net.Addr) (string, error) { return "web1", nil }})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	page, err := prometheus.New(prometheus.Config{})
	if err != nil {
		t.Fatal(err)
	}
	m := &Master{bus: server}
	for _, name := range []string{"a", "b"} {
		stream, err := zmq.New(zmq.Config{Listen: "127.0.0.1:0", Key: filepath.Join(t.TempDir(), "key"), Any: true}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		defer stream.Close()
		m.pumps = append(m.pumps, &returners.Pump{Name: name, Returner: stream})
	}
	m.measure(page)
	client, err := bus.Dial(t.Context(), bus.ClientConfig{Master: server.Addr().String(), Key: key, MasterKey: key.Public})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.Send(t.Context(), []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := server.Recv(t.Context()); err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	page.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	text, _ := io.ReadAll(w.Body)
	for _, want := range []string{
		"brine_bus_connections 1", "brine_bus_guests 0", "brine_bus_handshakes_total 1", "brine_bus_messages_received_total 1",
		"brine_bus_broken_total 0", `brine_stream_subscribers{returner="a"} 0`, `brine_stream_dropped_total{returner="b"} 0`,
	} {
		if !strings.Contains(string(text), "\n"+want+"\n") {
			t.Errorf("%s is missing in\n%s", want, text)
		}
	}
}
