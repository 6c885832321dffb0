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
	HandshakeHurry       time.Duration // for a handshake while all places are taken, 2 s

	// Guests are peers whose identity ServerConfig.Guest says is one. When there are too many, the newest takes the place
	// of the oldest, so that nobody can fill all places for good: a guest needs a moment only.
	Guests        int           // at once, 256
	GuestAge      time.Duration // of a connection, 10 min
	GuestMessage  int           // bytes of one message from a guest, 4 KiB
	GuestMessages int           // messages from a guest on one connection, 64

	// Unread bounds what a Server has read of one connection and Recv has not given out. The peer waits meanwhile, and
	// takes no more than its share of the inbox.
	UnreadBytes    int // 1 MiB and the last message
	UnreadMessages int // 32

	Commands int // of one connection in the time between two PINGs, 4096

	Heartbeat        time.Duration // between PINGs, 15 s
	HeartbeatTimeout time.Duration // without a byte: the connection is dead, three Heartbeats
	WriteTimeout     time.Duration // for the other side to take 64 KiB, 30 s
	CloseTimeout     time.Duration // for what is queued to be sent when a connection is closed in peace, 5 s

	// MaxAge is how long a connection lives before it is made anew, give or take a tenth; 24 h. CURVE keeps the keys
	// of a connection for as long as it lives.
	MaxAge time.Duration
}

func (l Limits) withDefaults() Limits {
	heartbeat := cmp.Or(l.Heartbeat, 15*time.Second)
	return Limits{
		Message:              cmp.Or(l.Message, 16<<20),
		QueueBytes:           cmp.Or(l.QueueBytes, 4<<20),
		QueueMessages:        cmp.Or(l.QueueMessages, 4096),
		Handshakes:           cmp.Or(l.Handshakes, 512),
		HandshakesPerAddress: cmp.Or(l.HandshakesPerAddress, 64),
		HandshakeTimeout:     cmp.Or(l.HandshakeTimeout, 10*time.Second),
		HandshakeHurry:       cmp.Or(l.HandshakeHurry, 2*time.Second),
		Guests:               cmp.Or(l.Guests, 256),
		GuestAge:             cmp.Or(l.GuestAge, 10*time.Minute),
		GuestMessage:         cmp.Or(l.GuestMessage, 4<<10),
		GuestMessages:        cmp.Or(l.GuestMessages, 64),
		UnreadBytes:          cmp.Or(l.UnreadBytes, 1<<20),
		UnreadMessages:       cmp.Or(l.UnreadMessages, 32),
		Commands:             cmp.Or(l.Commands, 4096),
		Heartbeat:            heartbeat,
		HeartbeatTimeout:     cmp.Or(l.HeartbeatTimeout, 3*heartbeat),
		WriteTimeout:         cmp.Or(l.WriteTimeout, 30*time.Second),
		CloseTimeout:         cmp.Or(l.CloseTimeout, 5*time.Second),
		MaxAge:               cmp.Or(l.MaxAge, 24*time.Hour),
	}
}
