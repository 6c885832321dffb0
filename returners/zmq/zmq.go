// Package zmq is the returner that publishes records to any ZeroMQ program: a PUB socket with CURVE.
//
// A subscriber connects a SUB socket with its own key pair, whose public half is in the configuration, and with the
// public key of this socket, which is in the log at each start. A message has two frames: the topic and the record as
// JSON. The topic is
//
//	brine/<kind>/<application>/<group>/
//
// with as many parts as the record has: brine/deployment/shop/production/, brine/key/. Kinds are those of fleet.Record:
// deployment, note, minion, event, return, key, pool. No part has a slash in it, so that brine/event/shop/ means the
// application shop and not shop2.
//
// This is a stream, not a store: a record goes at most once to each subscriber, and to those only who are there and keep
// pace. Who is away or too slow misses records; the counters tell of it, and the seq of the records has a gap. What has to
// arrive goes through another returner, or is read from the master. After a crash of the master a few records may come
// again, with the same seq.
package zmq

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"

	"github.com/brine-deploy/brine/pkg/bus"
	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/pkg/registry"
	"github.com/brine-deploy/brine/returners"
)

// Config is the returner's section.
type Config struct {
	Listen      string `yaml:"listen"`      // host:port; 0.0.0.0:4512 when empty
	Key         string `yaml:"key"`         // file with the socket's secret key, made at the first start
	Subscribers []Key  `yaml:"subscribers"` // public keys that may subscribe
	Any         bool   `yaml:"any"`         // instead: any key may
}

// Key is a public key of CURVE: as text the Z85 that zmq_curve_keypair and pyzmq give, or base64 as brine shows keys.
type Key fleet.Key

// UnmarshalText reads either form.
func (k *Key) UnmarshalText(text []byte) error {
	if len(text) == z85Size {
		b, err := decodeZ85(string(text))
		if err != nil {
			return err
		}
		*k = Key(b)
		return nil
	}
	if (*fleet.Key)(k).UnmarshalText(text) != nil {
		return fmt.Errorf("key is neither Z85 (40 characters) nor base64 of 32 bytes")
	}
	return nil
}

// Plugin is this returner's line in the list.
func Plugin() registry.Plugin[returners.Returner] {
	return registry.Plugin[returners.Returner]{
		Name: "zmq",
		Help: "a ZeroMQ PUB stream with CURVE, for whoever listens",
		New: func(s registry.Section, log *slog.Logger) (returners.Returner, error) {
			var c Config
			if err := s.Decode(&c); err != nil {
				return nil, err
			}
			return New(c, log)
		},
	}
}

// Stream publishes records.
type Stream struct {
	publisher *bus.Publisher
	log       *slog.Logger
}

var (
	_ returners.Returner = (*Stream)(nil)
	_ returners.Measured = (*Stream)(nil)
)

var errNotListed = errors.New("it is not among the subscribers of the configuration")

// New makes the returner and opens its socket.
func New(c Config, log *slog.Logger) (*Stream, error) {
	switch {
	case c.Key == "":
		return nil, errors.New("key is missing: the file for the socket's secret key, such as /var/lib/brine-master/zmq.key")
	case c.Any == (len(c.Subscribers) > 0):
		return nil, errors.New("give either subscribers, the public keys that may listen, or any: true")
	}
	key, err := bus.LoadOrCreateKey(c.Key)
	if err != nil {
		return nil, err
	}
	p, err := bus.NewPublisher(bus.PublisherConfig{
		Listen: cmp.Or(c.Listen, "0.0.0.0:4512"), Key: key, Log: log,
		Authorize: func(key fleet.Key, _ net.Addr) error {
			if c.Any || slices.Contains(c.Subscribers, Key(key)) {
				return nil
			}
			return errNotListed
		},
	})
	if err != nil {
		return nil, err
	}
	log.Info("stream is open", "listen", p.Addr().String(), "public_key", encodeZ85(key.Public))
	return &Stream{publisher: p, log: log}, nil
}

// Deliver publishes the records to those who are there. It does not wait for them.
func (s *Stream) Deliver(ctx context.Context, records []fleet.Record) error {
	for _, r := range records {
		body, err := json.Marshal(r)
		if err != nil {
			return fmt.Errorf("encode record %d: %w", r.Seq, err)
		}
		if err := s.publisher.Publish(topic(r), body); err != nil { // and so it would be the next time
			s.log.WarnContext(ctx, "record is left out of the stream", "seq", r.Seq, "error", err)
		}
	}
	return nil
}

// topic is what subscribers choose by.
func topic(r fleet.Record) string {
	t := "brine/" + string(r.Kind) + "/"
	if r.App != "" {
		t += string(r.App) + "/"
		if r.Group != "" {
			t += string(r.Group) + "/"
		}
	}
	return t
}

// Close ends the stream, after what is queued was sent or some seconds have passed.
func (s *Stream) Close() error { return s.publisher.Close() }

// Measure shows how the stream does.
func (s *Stream) Measure(g returners.Gauger, name string) {
	stats := s.publisher.Stats
	g.Gauge("brine_stream_subscribers", "Subscribers of a ZeroMQ stream that are connected now.",
		func() float64 { return float64(stats().Subscribers) }, "returner", name)
	for counter, value := range map[string]struct {
		help string
		of   func(bus.PublisherStats) uint64
	}{
		"sent":        {"Messages that were queued for a subscriber.", func(s bus.PublisherStats) uint64 { return s.Sent }},
		"dropped":     {"Messages that a subscriber missed because it was too slow.", func(s bus.PublisherStats) uint64 { return s.Dropped }},
		"refused":     {"Subscribers whose key may not subscribe, or that were too many.", func(s bus.PublisherStats) uint64 { return s.Refused }},
		"failed":      {"Connections that proved no key.", func(s bus.PublisherStats) uint64 { return s.Failed }},
		"turned_away": {"Connections from an address that had too many handshakes.", func(s bus.PublisherStats) uint64 { return s.TurnedAway }},
	} {
		g.Counter("brine_stream_"+counter+"_total", value.help, func() float64 { return float64(value.of(stats())) }, "returner", name)
	}
}
