// Package bus is the encrypted bus between one master and its minions. It is the only home of zmq4 and of NaCl.
//
// On the wire it is ZMTP 3.1 with the CURVE mechanism, which libzmq speaks too: minions are DEALER, the master is
// ROUTER. The engine is zmq4, which knows no CURVE and must not meet a peer that it cannot trust; so CURVE lives below
// it, in a net.Conn that shows zmq4 a NULL handshake whose identity is the one that the peer's key has proven:
//
//	Server, Client             bodies in and out, by identity
//	zmq4 ROUTER, DEALER        who sent what, for what is received  (unmodified)
//	conn                       limits, bounded queue, heartbeats    (what zmq4 reads; what is sent is put there)
//	curve                      handshake, encryption
//	TCP
//
// A message is one frame; what is in it is for package wire. ZeroMQ allows messages of many frames; a peer that sends
// one here is cut off, because it wants to talk to something else. The bus promises order on one connection and nothing
// more: that Send returned nil does not mean that the message arrived. Applications acknowledge.
//
// A Publisher is a PUB socket on a port of its own, for programs that watch: the same handshake and the same limits, two
// frames in each message, topic and body, and no zmq4.
package bus

import "errors"

// What callers branch on.
var (
	// ErrNotConnected is for a message to a peer that is not connected, or whose queue has just run over.
	ErrNotConnected = errors.New("not connected")
	// ErrClosed is for what is done with a Server or Client after its end. The error says how it ended.
	ErrClosed = errors.New("bus closed")
	// ErrRefused is for a key that the master knows and does not want.
	ErrRefused = errors.New("the master refused this key")
	// ErrBusy is for a master that has too many peers with keys that are not accepted.
	ErrBusy = errors.New("the master takes no more new minions at the moment")
	// ErrHandshake is for a master that does not prove the key that is pinned.
	ErrHandshake = errors.New("handshake with the master broke off: is master_key the key of this master?")
	// ErrTooBig is for a message above Limits.Message.
	ErrTooBig = errors.New("message is too big")
)

// How connections end.
var (
	errHungUp     = errors.New("the other side hung up")
	errSilent     = errors.New("the other side fell silent")
	errOverflow   = errors.New("its queue ran over")
	errReplaced   = errors.New("a newer connection took its place")
	errCut        = errors.New("disconnected by order")
	errRecycled   = errors.New("connection is old enough to be made anew")
	errClosedHere = errors.New("closed on this side")
	errFrame      = errors.New("malformed frame")
	errCommands   = errors.New("it sent too many commands")
	errGuestTalks = errors.New("a peer without an accepted key sent too many messages")
	errManyGuests = errors.New("too many peers without an accepted key")
	errGuestAway  = errors.New("another peer without an accepted key took its place")
)
