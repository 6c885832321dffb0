package bus

import (
	"context"
	"fmt"
	"hash/fnv"

	"github.com/go-zeromq/zmq4"
)

// shardCount is the number of ROUTER sockets. zmq4 hands over what a socket receives through one queue, and lets its connections
// go by walking all of them.
const shardCount = 16

// shard is one zmq4 ROUTER with the peers whose identities hash to it.
type shard struct {
	socket    zmq4.Socket
	threshold *threshold
	cut       uint64 // guarded by Server.mu; the epoch of the last Disconnect here
}

func (s *Server) openShards(n int) error {
	x, err := theExchange()
	if err != nil {
		return err
	}
	for range n {
		sh := &shard{threshold: newThreshold(s.addr), socket: zmq4.NewRouter(context.Background(), engineOptions()...)}
		if err := x.open(endpoint{listener: sh.threshold}, sh.socket.Listen); err != nil {
			return fmt.Errorf("open the bus: %w", err)
		}
		s.shards = append(s.shards, sh)
		s.pumps.Go(func() { s.pump(sh) })
	}
	return nil
}

func (s *Server) shardOf(identity string) *shard {
	h := fnv.New32a()
	h.Write([]byte(identity)) //nolint:errcheck // it never fails
	return s.shards[h.Sum32()%uint32(len(s.shards))]
}

// pump moves messages to the inbox until the socket is closed. While the server closes they are thrown away, because
// zmq4's readers end only when they can pass on what they have read.
func (s *Server) pump(sh *shard) {
	for {
		msg, err := sh.socket.Recv()
		if err != nil {
			return
		}
		if len(msg.Frames) != 2 {
			continue // conn lets no such message through
		}
		s.counters.received.Add(1)
		select {
		case s.inbox <- message{identityOf(msg.Frames[0]), msg.Frames[0], msg.Frames[1]}:
		case <-s.closing:
		}
	}
}
