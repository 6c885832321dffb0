package bus

import (
	"bufio"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// subscriber is a connection of a Publisher.
type subscriber struct {
	*outbox // nil until the handshake is done
	key     fleet.Key
	from    net.Addr

	wishing sync.Mutex
	topics  subscriptions // guarded by wishing
}

// maxWish bounds what a subscriber may send at once: SUBSCRIBE, its topic, and room for what we do not know.
const maxWish = 1 << 10

// read obeys what the subscriber sends until that ends.
func (s *subscriber) read(in *bufio.Reader) error {
	in.Reset(s.patient(in))
	for {
		inner, err := s.readInner(in, maxWish)
		if err != nil {
			return err
		}
		if err := s.obey(inner); err != nil {
			return err
		}
	}
}

func (s *subscriber) obey(inner []byte) error {
	wish, ok, err := parseSubscription(inner)
	switch {
	case err != nil:
		return err
	case ok:
		if err := s.countCommand(time.Now()); err != nil {
			return err
		}
		s.wishing.Lock()
		defer s.wishing.Unlock()
		return s.topics.apply(wish)
	case inner[0] == innerCommand:
		return s.command(inner[1:])
	case inner[0] != innerMessage:
		return fmt.Errorf("%w: a message has one part", errFrame)
	default:
		return nil // PUB takes no messages: what an XSUB sends besides wishes is thrown away
	}
}

func (s *subscriber) wants(topic string) bool {
	s.wishing.Lock()
	defer s.wishing.Unlock()
	return s.topics.match(topic)
}
