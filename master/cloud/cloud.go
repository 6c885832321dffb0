// Package cloud is what the master does with the cloud that its minions run in: it tells it of newcomers that are in or
// failed, hears from it of leavers, keeps its warm pool out of the balancer, believes its word for who an instance is, and
// reads its alarms. It is the only home of the AWS SDK beside the store and the balancer elbv2.
package cloud

import (
	"context"
	"log/slog"
	"time"

	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/pkg/registry"
)

// News is what becomes of a minion.
type News string

// What a cloud is told.
const (
	Installing News = "installing" // it is being brought up
	In         News = "in"         // it has what it should have, and is in its pools
	Failed     News = "failed"     // it could not be brought up
	Left       News = "left"       // it is out of its pools and forgotten
)

// Cloud is told what becomes of minions. Its methods may be called concurrently. Told twice it does no harm; a minion that
// is not the cloud's is no error.
type Cloud interface {
	Tell(ctx context.Context, m fleet.Minion, news News, reason string) error
}

// Standing is where the cloud has an instance.
type Standing string

// The standings of an instance.
const (
	Coming  Standing = "coming"  // it waits for the master to say that it is in
	Serving Standing = "serving" // nothing is to be done
	Warming Standing = "warming" // of a warm pool: as coming, but not to enter the balancer
	Warm    Standing = "warm"    // of a warm pool
	Leaving Standing = "leaving" // it waits for the master to let it go
)

// Watcher is a cloud that knows where its instances stand. Minions that are not the cloud's are missing in the answer.
type Watcher interface {
	Watch(ctx context.Context, minions []fleet.Minion) (map[fleet.MinionID]Standing, error)
	Every() time.Duration // between two times that it is asked
}

// Identifier is a cloud that signs documents which say who an instance is. Identify gives the instance's name in the
// keyring, "ec2:i-0abc", when the document is genuine, young and of this fleet.
type Identifier interface {
	Identifies() bool // false: none is accepted
	Identify(document, signature []byte, now time.Time) (string, error)
}

// List holds the clouds, sorted by name.
func List() registry.List[Cloud] {
	return registry.List[Cloud]{
		{Name: "aws", Help: "Auto Scaling, CloudWatch and instance identity documents of AWS", New: newAWS},
		{Name: "webhook", Help: "a URL that is called when a newcomer is in or failed, or a leaver is gone", New: newWebhook},
	}
}

func newAWS(s registry.Section, log *slog.Logger) (Cloud, error) {
	var c Config
	if err := s.Decode(&c); err != nil {
		return nil, err
	}
	return New(c, log)
}

func newWebhook(s registry.Section, _ *slog.Logger) (Cloud, error) {
	var c WebhookConfig
	if err := s.Decode(&c); err != nil {
		return nil, err
	}
	return NewWebhook(c)
}
