package cloud

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/smithy-go"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// Config is the section of a cloud of type aws. Credentials come from where all of Amazon's tools find them.
type Config struct {
	Region   string         `yaml:"region"`   // of instances and alarms that do not say theirs
	Endpoint string         `yaml:"endpoint"` // for a server that is not Amazon's
	Poll     fleet.Duration `yaml:"poll"`     // how often Auto Scaling is asked; 10 s when zero
	Retries  int            `yaml:"retries"`  // of a call that is throttled or finds no answer; 8 when zero
	Backoff  fleet.Duration `yaml:"backoff"`  // the longest pause between retries; 5 s when zero
	Identity Identity       `yaml:"identity"`
}

// AWS is Auto Scaling and CloudWatch, in every region that minions or alarms name.
type AWS struct {
	cfg      Config
	log      *slog.Logger
	http     *awshttp.BuildableClient
	verifier *verifier

	mu      sync.Mutex
	regions map[string]*region // guarded by mu
}

var (
	_ Cloud      = (*AWS)(nil)
	_ Watcher    = (*AWS)(nil)
	_ Identifier = (*AWS)(nil)
)

// region is the clients of one region.
type region struct {
	scaling *autoscaling.Client
	alarms  *cloudwatch.Client

	mu    sync.Mutex
	hooks map[string]hooks // guarded by mu; by Auto Scaling group
}

// hooks are the names of a group's lifecycle hooks, by their transition.
type hooks map[string][]string

const (
	launching   = "autoscaling:EC2_INSTANCE_LAUNCHING"
	terminating = "autoscaling:EC2_INSTANCE_TERMINATING"
)

// atOnce is how many instances one call may ask for.
const atOnce = 50

// answerTimeout bounds one try of a call.
const answerTimeout = 30 * time.Second

// New makes the cloud. It asks AWS for nothing yet, but reads the certificates of the identity documents.
func New(c Config, log *slog.Logger) (*AWS, error) {
	v, err := newVerifier(c.Identity)
	if err != nil {
		return nil, err
	}
	return &AWS{
		cfg: c, log: log, verifier: v, regions: map[string]*region{},
		http: awshttp.NewBuildableClient().WithTimeout(answerTimeout),
	}, nil
}

// Every is the time between two questions.
func (a *AWS) Every() time.Duration { return a.cfg.Poll.Or(10 * time.Second) }

// Identifies reports whether any account's instances may enrol by their documents.
func (a *AWS) Identifies() bool { return len(a.verifier.keys) > 0 }

// Identify implements Identifier.
func (a *AWS) Identify(document, signature []byte, now time.Time) (string, error) {
	return a.verifier.identify(document, signature, now)
}

func (a *AWS) in(ctx context.Context, name string) (*region, error) {
	name = cmp.Or(name, a.cfg.Region)
	a.mu.Lock()
	defer a.mu.Unlock()
	if r := a.regions[name]; r != nil {
		return r, nil
	}
	options := []func(*config.LoadOptions) error{
		config.WithHTTPClient(a.http),
		config.WithRetryer(func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) {
				o.MaxAttempts, o.MaxBackoff, o.RateLimiter = 1+cmp.Or(a.cfg.Retries, 8), a.cfg.Backoff.Or(5*time.Second), ratelimit.None
			})
		}),
	}
	if name != "" {
		options = append(options, config.WithRegion(name))
	}
	if a.cfg.Endpoint != "" {
		options = append(options, config.WithBaseEndpoint(a.cfg.Endpoint))
	}
	sdk, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("load AWS configuration: %w", err)
	}
	r := &region{scaling: autoscaling.NewFromConfig(sdk), alarms: cloudwatch.NewFromConfig(sdk), hooks: map[string]hooks{}}
	a.regions[name] = r
	return r, nil
}

// Alarm reads the state of a CloudWatch alarm, and why it is in it. It is a gate.CloudWatch.
func (a *AWS) Alarm(ctx context.Context, regionName, name string) (state, reason string, err error) {
	r, err := a.in(ctx, regionName)
	if err != nil {
		return "", "", err
	}
	out, err := r.alarms.DescribeAlarms(ctx, describeAlarm(name))
	if err != nil {
		return "", "", fmt.Errorf("describe alarm %s: %w", name, err)
	}
	for _, m := range out.MetricAlarms {
		return string(m.StateValue), aws.ToString(m.StateReason), nil
	}
	for _, c := range out.CompositeAlarms {
		return string(c.StateValue), aws.ToString(c.StateReason), nil
	}
	return "", "", fmt.Errorf("CloudWatch has no alarm %q", name)
}

// instance is a minion as EC2 knows it.
type instance struct{ id, region string }

// instanceOf reads the grains that a minion reports of itself.
func instanceOf(m fleet.Minion) (instance, bool) {
	ec2, _ := m.Grains["ec2"].(map[string]any)
	id, _ := ec2["instance_id"].(string)
	name, _ := ec2["region"].(string)
	return instance{id, name}, strings.HasPrefix(id, "i-")
}

// Watch implements Watcher, by DescribeAutoScalingInstances.
func (a *AWS) Watch(ctx context.Context, minions []fleet.Minion) (map[fleet.MinionID]Standing, error) {
	found := map[fleet.MinionID]Standing{}
	byRegion := map[string]map[string]fleet.MinionID{}
	for _, m := range minions {
		if i, ok := instanceOf(m); ok {
			if byRegion[i.region] == nil {
				byRegion[i.region] = map[string]fleet.MinionID{}
			}
			byRegion[i.region][i.id] = m.ID
		}
	}
	for name, ids := range byRegion {
		details, err := a.describe(ctx, name, slices.Sorted(maps.Keys(ids)))
		if err != nil {
			return nil, err
		}
		for _, d := range details {
			found[ids[aws.ToString(d.InstanceId)]] = standing(aws.ToString(d.LifecycleState))
		}
	}
	return found, nil
}

func (a *AWS) describe(ctx context.Context, regionName string, ids []string) ([]types.AutoScalingInstanceDetails, error) {
	r, err := a.in(ctx, regionName)
	if err != nil {
		return nil, err
	}
	var all []types.AutoScalingInstanceDetails
	for some := range slices.Chunk(ids, atOnce) {
		in := &autoscaling.DescribeAutoScalingInstancesInput{InstanceIds: some}
		for pages := autoscaling.NewDescribeAutoScalingInstancesPaginator(r.scaling, in); pages.HasMorePages(); {
			out, err := pages.NextPage(ctx)
			if err != nil {
				return nil, fmt.Errorf("describe instances: %w", err)
			}
			all = append(all, out.AutoScalingInstances...)
		}
	}
	return all, nil
}

func standing(state string) Standing {
	switch {
	case strings.HasPrefix(state, "Warmed:Pending"):
		return Warming
	case strings.HasPrefix(state, "Terminating"), strings.HasPrefix(state, "Warmed:Terminating"):
		return Leaving
	case strings.HasPrefix(state, "Warmed:"):
		return Warm
	case strings.HasPrefix(state, "Pending"):
		return Coming
	default:
		return Serving
	}
}

// Tell implements Cloud: it completes the lifecycle action that the instance waits in, or prolongs it. An instance that
// waits in none is let be.
func (a *AWS) Tell(ctx context.Context, m fleet.Minion, news News, _ string) error {
	i, ok := instanceOf(m)
	if !ok {
		return nil
	}
	details, err := a.describe(ctx, i.region, []string{i.id})
	if err != nil || len(details) == 0 {
		return err
	}
	state, group := aws.ToString(details[0].LifecycleState), details[0].AutoScalingGroupName
	transition := launching
	if standing(state) == Leaving {
		transition = terminating
	}
	if !strings.HasSuffix(state, ":Wait") || (transition == terminating) != (news == Left) && news != Installing {
		return nil
	}
	r, err := a.in(ctx, i.region)
	if err != nil {
		return err
	}
	names, err := r.hooksOf(ctx, *group, transition)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := r.tell(ctx, i.id, *group, name, news); err != nil {
			return fmt.Errorf("lifecycle action %s of %s: %w", name, i.id, err)
		}
	}
	if news != Installing {
		a.log.Info("lifecycle action completed", "minion", m.ID, "instance", i.id, "group", *group, "state", state, "news", news)
	}
	return nil
}

func (r *region) tell(ctx context.Context, id, group, hook string, news News) error {
	var err error
	switch news {
	case Installing:
		_, err = r.scaling.RecordLifecycleActionHeartbeat(ctx, &autoscaling.RecordLifecycleActionHeartbeatInput{
			AutoScalingGroupName: &group, LifecycleHookName: &hook, InstanceId: &id,
		})
	default:
		result := "CONTINUE"
		if news == Failed {
			result = "ABANDON"
		}
		_, err = r.scaling.CompleteLifecycleAction(ctx, &autoscaling.CompleteLifecycleActionInput{
			AutoScalingGroupName: &group, LifecycleHookName: &hook, InstanceId: &id, LifecycleActionResult: &result,
		})
	}
	var answer smithy.APIError
	if errors.As(err, &answer) && answer.ErrorCode() == "ValidationError" && strings.Contains(answer.ErrorMessage(), "No active Lifecycle Action") {
		return nil // it is over, or another hook's turn
	}
	return err
}

// hooksOf names the hooks of a group for a transition. They are asked for once: who adds one restarts the master.
func (r *region) hooksOf(ctx context.Context, group, transition string) ([]string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if known, ok := r.hooks[group]; ok {
		return known[transition], nil
	}
	out, err := r.scaling.DescribeLifecycleHooks(ctx, &autoscaling.DescribeLifecycleHooksInput{AutoScalingGroupName: &group})
	if err != nil {
		return nil, fmt.Errorf("describe lifecycle hooks of %s: %w", group, err)
	}
	found := hooks{}
	for _, h := range out.LifecycleHooks {
		t := aws.ToString(h.LifecycleTransition)
		found[t] = append(found[t], aws.ToString(h.LifecycleHookName))
	}
	if len(found) > 0 { // hooks come after their group
		r.hooks[group] = found
	}
	return found[transition], nil
}
