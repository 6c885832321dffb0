package elbv2

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"

	"github.com/brine-deploy/brine/master/balancer"
	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/pkg/registry"
)

// Config is the section of a balancer of type elbv2. Credentials come from where all of Amazon's tools find them: the
// environment, the profile, the instance's role.
type Config struct {
	Region   string                `yaml:"region"`   // the environment's or the profile's when empty
	Endpoint string                `yaml:"endpoint"` // for a server that is not Amazon's
	Retries  int                   `yaml:"retries"`  // of a call that is throttled or finds no answer; 10 when zero
	Backoff  fleet.Duration        `yaml:"backoff"`  // the longest pause between retries; 5 s when zero
	Poll     fleet.Duration        `yaml:"poll"`     // between two looks at a target group, by all who wait for it; 1 s when zero
	Settle   fleet.Duration        `yaml:"settle"`   // how old an answer of AWS may be; 2 s when zero
	State    string                `yaml:"state"`    // file that keeps the names of ip targets; one of the master's when empty
	Pools    map[string]PoolConfig `yaml:"pools"`
}

// PoolConfig is one pool.
type PoolConfig struct {
	// TargetGroups are names or ARNs. A member is in all of them, except with a rule. In a group of instances it is known by
	// its name, which has to be the instance's id (balancer.member: "{grains.ec2.instance_id}"), in one of addresses by its
	// address.
	TargetGroups []string `yaml:"target_groups"`
	Port         int      `yaml:"port"` // of the targets; that of the member's address when zero

	// Rule is the ARN of a listener's rule, not its default one, that forwards to exactly the two target groups: the pool's
	// sides, of which the one with the greater weight serves. It is what lets a blue/green group switch in one step.
	Rule string `yaml:"rule"`
}

// Plugin is this driver's line in the list of balancers.
func Plugin() registry.Plugin[balancer.Balancer] {
	return registry.Plugin[balancer.Balancer]{
		Name: "elbv2",
		Help: "target groups of AWS Application and Network Load Balancers",
		New: func(s registry.Section, log *slog.Logger) (balancer.Balancer, error) {
			var c Config
			if err := s.Decode(&c); err != nil {
				return nil, err
			}
			return New(c, log)
		},
	}
}

// answerTimeout bounds one try of a call.
const answerTimeout = 30 * time.Second

// New makes the driver. It asks AWS for nothing yet.
func New(c Config, log *slog.Logger) (*ELB, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	options := []func(*config.LoadOptions) error{config.WithHTTPClient(awshttp.NewBuildableClient().WithTimeout(answerTimeout))}
	if c.Region != "" {
		options = append(options, config.WithRegion(c.Region))
	}
	sdk, err := config.LoadDefaultConfig(context.Background(), options...)
	if err != nil {
		return nil, fmt.Errorf("load AWS configuration: %w", err)
	}
	client := elasticloadbalancingv2.NewFromConfig(sdk, func(o *elasticloadbalancingv2.Options) {
		if c.Endpoint != "" {
			o.BaseEndpoint = aws.String(c.Endpoint)
		}
		o.Retryer = retry.NewStandard(func(r *retry.StandardOptions) {
			r.MaxAttempts = 1 + cmp.Or(c.Retries, 10)
			r.MaxBackoff = c.Backoff.Or(5 * time.Second)
			r.RateLimiter = ratelimit.None // who waits for a pool has a deadline of his own
		})
	})
	return &ELB{
		client: client, log: log, poll: c.Poll.Or(time.Second), settle: c.Settle.Or(2 * time.Second),
		pools: c.Pools, found: map[string][]*group{}, names: names{file: c.State, own: c.State != ""},
	}, nil
}

func (c Config) check() error {
	if len(c.Pools) == 0 {
		return errors.New("pools is missing: the target groups, by the pool's name")
	}
	if u, err := url.Parse(c.Endpoint); c.Endpoint != "" && (err != nil || u.Host == "") {
		return fmt.Errorf("endpoint %q is no URL", c.Endpoint)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Pools)) {
		p := c.Pools[name]
		switch {
		case len(p.TargetGroups) == 0:
			return fmt.Errorf("pool %s: target_groups is missing: their names or ARNs", name)
		case slices.Contains(p.TargetGroups, ""):
			return fmt.Errorf("pool %s: a target group has no name", name)
		case p.Port < 0 || p.Port > 65535:
			return fmt.Errorf("pool %s: %d is no port", name, p.Port)
		case p.Rule != "" && !strings.Contains(p.Rule, ":listener-rule/"):
			return fmt.Errorf("pool %s: rule %q is not the ARN of a listener's rule", name, p.Rule)
		case p.Rule != "" && len(p.TargetGroups) != 2:
			return fmt.Errorf("pool %s: a pool with a rule has two target groups, its sides, not %d", name, len(p.TargetGroups))
		}
	}
	return nil
}
