package bus

import (
	"errors"
	"fmt"
)

// What one subscriber may ask for.
const (
	maxTopic         = 255  // bytes of a topic, and of the beginning of one
	maxSubscriptions = 1024 // of one connection
)

var errSubscriptions = errors.New("a subscriber asked for too many topics")

// subscription is a subscriber's wish to get, or to get no longer, what has a topic that begins like this.
type subscription struct {
	prefix string
	wanted bool
}

// parseSubscription reads an inner frame that is a wish: a command in ZMTP 3.1, a message that begins with 1 or 0
// before that. It is not ok when the frame is something else.
func parseSubscription(inner []byte) (s subscription, ok bool, err error) {
	rest := inner[1:]
	switch {
	case inner[0] == innerCommand:
		name, data, err := parseCommand(rest)
		if err != nil || name != "SUBSCRIBE" && name != "CANCEL" {
			return subscription{}, false, err
		}
		s.wanted, rest = name == "SUBSCRIBE", data
	case inner[0] == innerMessage && len(rest) > 0 && rest[0] <= 1:
		s.wanted, rest = rest[0] == 1, rest[1:]
	default:
		return subscription{}, false, nil
	}
	if len(rest) > maxTopic {
		return subscription{}, false, fmt.Errorf("%w: a topic of %d bytes", errFrame, len(rest))
	}
	s.prefix = string(rest)
	return s, true, nil
}

// subscriptions are those of one connection.
type subscriptions map[string]struct{}

// apply grants a wish. To ask twice is to ask once, as with libzmq.
func (all subscriptions) apply(s subscription) error {
	if !s.wanted {
		delete(all, s.prefix)
		return nil
	}
	if len(all) >= maxSubscriptions {
		return errSubscriptions
	}
	all[s.prefix] = struct{}{}
	return nil
}

// match reports whether something with this topic is wanted. Its cost is the topic's length, whatever is asked for.
func (all subscriptions) match(topic string) bool {
	if len(all) == 0 {
		return false
	}
	for n := range len(topic) + 1 {
		if _, ok := all[topic[:n]]; ok {
			return true
		}
	}
	return false
}
