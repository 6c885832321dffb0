package master

import (
	"github.com/brine-deploy/brine/pkg/bus"
	"github.com/brine-deploy/brine/returners"
)

// measure puts on a page what the bus and the returners count. The page is served once everything has been made.
func (m *Master) measure(g returners.Gauger) {
	g.Gauge("brine_bus_connections", "Connections of the bus that have proven a key.", func() float64 { return float64(m.bus.Stats().Connected) })
	g.Gauge("brine_bus_guests", "Connections of the bus whose key is not accepted.", func() float64 { return float64(m.bus.Stats().Guests) })
	for _, c := range busCounters() {
		g.Counter("brine_bus_"+c.name+"_total", c.help, func() float64 { return float64(c.of(m.bus.Stats())) })
	}
	for _, p := range m.pumps {
		if r, ok := p.Returner.(returners.Measured); ok {
			r.Measure(g, p.Name)
		}
	}
}

type busCounter struct {
	name, help string
	of         func(bus.Stats) uint64
}

func busCounters() []busCounter {
	return []busCounter{
		{"messages_received", "Messages from minions.", func(s bus.Stats) uint64 { return s.Received }},
		{"messages_sent", "Messages to minions.", func(s bus.Stats) uint64 { return s.Sent }},
		{"handshakes", "Connections that proved a key.", func(s bus.Stats) uint64 { return s.Handshakes }},
		{"handshakes_failed", "Connections that proved no key.", func(s bus.Stats) uint64 { return s.Failed }},
		{"handshakes_hurried", "Connections that took too long to prove a key while others waited.", func(s bus.Stats) uint64 { return s.Hurried }},
		{"refused", "Connections whose key was rejected or revoked, or that were guests too many.", func(s bus.Stats) uint64 { return s.Refused }},
		{"turned_away", "Connections from an address that had too many handshakes.", func(s bus.Stats) uint64 { return s.TurnedAway }},
		{"accept_errors", "Times that no connection could be accepted, most likely for want of descriptors.", func(s bus.Stats) uint64 { return s.AcceptErrors }},
		{"guests_evicted", "Guests that made room for another.", func(s bus.Stats) uint64 { return s.Evicted }},
		{"overflows", "Connections cut because the peer did not read.", func(s bus.Stats) uint64 { return s.Overflows }},
		{"silent", "Connections cut because nothing came any more.", func(s bus.Stats) uint64 { return s.Silent }},
		{"broken", "Connections cut because the peer broke the protocol or a limit.", func(s bus.Stats) uint64 { return s.Broken }},
	}
}
