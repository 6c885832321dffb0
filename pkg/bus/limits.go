package bus

import (
	"cmp"
	"time"
)

// Limits bound what a peer can take from this side. A zero value means the default.
type Limits struct {
	Message       int // bytes of one message, 16 MiB; the same on both sides
	QueueBytes    int // bytes that wait to be sent on one connection, 4 MiB and the last message
	QueueMessages int // messages that wait to be sent on one connection, 4096

	Handshakes           int           // connections that have not proven a key yet, 512
	HandshakesPerAddress int           // of these from one address (IPv6: one /64), 64
	HandshakeTimeout     time.Duration // for connect and handshake, 10 s

	// Guests are peers whose identity ServerConfig.Guest says is one.
	Guests        int // at once, 256
	GuestMessage  int // bytes of one message from a guest, 4 KiB
	GuestMessages int // messages from a guest on one connection, 64

	Heartbeat        time.Duration // between PINGs, 15 s
	HeartbeatTimeout time.Duration // without a byte: the connection is dead, 45 s
	WriteTimeout     time.Duration // for the other side to take 64 KiB, 30 s
	CloseTimeout     time.Duration // for what is queued to be sent when a connection is closed in peace, 5 s

	// MaxAge is how long a connection lives before it is made anew, give or take a tenth; 24 h. CURVE keeps the keys
	// of a connection for as long as it lives.
	MaxAge time.Duration
}

func (l Limits) withDefaults() Limits {
	return Limits{
		Message:              cmp.Or(l.Message, 16<<20),
		QueueBytes:           cmp.Or(l.QueueBytes, 4<<20),
		QueueMessages:        cmp.Or(l.QueueMessages, 4096),
		Handshakes:           cmp.Or(l.Handshakes, 512),
		HandshakesPerAddress: cmp.Or(l.HandshakesPerAddress, 64),
		HandshakeTimeout:     cmp.Or(l.HandshakeTimeout, 10*time.Second),
		Guests:               cmp.Or(l.Guests, 256),
		GuestMessage:         cmp.Or(l.GuestMessage, 4<<10),
		GuestMessages:        cmp.Or(l.GuestMessages, 64),
		Heartbeat:            cmp.Or(l.Heartbeat, 15*time.Second),
		HeartbeatTimeout:     cmp.Or(l.HeartbeatTimeout, 45*time.Second),
		WriteTimeout:         cmp.Or(l.WriteTimeout, 30*time.Second),
		CloseTimeout:         cmp.Or(l.CloseTimeout, 5*time.Second),
		MaxAge:               cmp.Or(l.MaxAge, 24*time.Hour),
	}
}
