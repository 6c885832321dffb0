package elbv2

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/brine-deploy/brine/master/balancer"
	"github.com/brine-deploy/brine/master/balancer/balancertest"
	"github.com/brine-deploy/brine/master/cloud/awstest"
	"github.com/brine-deploy/brine/pkg/fleet"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newDriver(t *testing.T, aws *awstest.AWS, pool PoolConfig) *ELB {
	t.Helper()
	e, err := New(Config{
		Region: awstest.Region, Endpoint: aws.URL, Poll: fleet.Duration(20 * time.Millisecond), Settle: fleet.Duration(100 * time.Millisecond),
		Backoff: fleet.Duration(50 * time.Millisecond), Pools: map[string]PoolConfig{"web": pool},
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// The pool has targets by address and by instance, at once.
func TestELBv2(t *testing.T) {
	balancertest.Suite(t, func(t *testing.T) balancertest.Harness {
		lag := 40 * time.Millisecond
		if strings.Contains(t.Name(), "cuts_off") {
			lag = 0 // AWS cuts off, not the driver, and the suite looks at once
		}
		aws := awstest.New(t, awstest.Config{Lag: lag})
		for i := range 6 {
			aws.AddInstance(fmt.Sprintf("web-%d", i), "127.0.0.1")
		}
		aws.AddInstance("a", "127.0.0.1")
		aws.AddInstance("b", "127.0.0.1")
		ip := aws.AddTargetGroup(awstest.TargetGroup{Name: "addresses", Type: "ip", Delay: 2 * time.Second})
		aws.AddTargetGroup(awstest.TargetGroup{Name: "instances", Type: "instance", Delay: 2 * time.Second})
		l := aws.AddListener(awstest.Weights{ip: 1, aws.AddTargetGroup(awstest.TargetGroup{Name: "unwanted", Type: "ip"}): 0})
		return balancertest.Harness{Balancer: newDriver(t, aws, PoolConfig{TargetGroups: []string{ip, "instances"}}), Pool: "web", URL: l.URL}
	})
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func TestAThrottledFleetOfMembersComesInAndOut(t *testing.T) {
	aws := awstest.New(t, awstest.Config{Lag: 40 * time.Millisecond, Rate: 20, PageSize: 1})
	aws.AddTargetGroup(awstest.TargetGroup{Name: "other", Type: "ip"})
	aws.AddTargetGroup(awstest.TargetGroup{Name: "web", Type: "ip"})
	aws.Fail("RegisterTargets", "ServiceUnavailable", 2)
	e := newDriver(t, aws, PoolConfig{TargetGroups: []string{"web"}})
	var members []balancer.Member
	for i := range 30 {
		members = append(members, balancertest.NewBackend(t, fmt.Sprintf("web-%d", i)).Member)
	}
	each := func(do func(context.Context, string, balancer.Member) error) {
		t.Helper()
		var all sync.WaitGroup
		for _, m := range members {
			all.Go(func() {
				if err := do(within(t, 20*time.Second), "web", m); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	}
	each(e.Activate)
	if status, err := e.Members(t.Context(), "web"); err != nil || len(status) != 30 || status["web-7"] != balancer.Up {
		t.Error(status, err)
	}
	each(e.Drain)
	if status, err := e.Members(t.Context(), "web"); err != nil || len(status) != 0 {
		t.Error(status, err)
	}
}

func TestRefusalsOfAWSAreTold(t *testing.T) {
	aws := awstest.New(t, awstest.Config{})
	aws.AddTargetGroup(awstest.TargetGroup{Name: "web", Type: "instance"})
	m := balancer.Member{Name: "i-unknown", Address: "127.0.0.1:80"}
	if err := newDriver(t, aws, PoolConfig{TargetGroups: []string{"web"}}).Activate(within(t, 5*time.Second), "web", m); err == nil || !strings.Contains(err.Error(), "i-unknown") {
		t.Error(err)
	}
	aws.Fail("RegisterTargets", "AccessDenied", 1)
	if err := newDriver(t, aws, PoolConfig{TargetGroups: []string{"web"}}).Activate(within(t, 5*time.Second), "web", m); err == nil || !strings.Contains(err.Error(), "AccessDenied") {
		t.Error(err)
	}
	if _, err := newDriver(t, aws, PoolConfig{TargetGroups: []string{"wbe"}}).Members(within(t, 5*time.Second), "web"); err == nil || !strings.Contains(err.Error(), "wbe") {
		t.Error(err)
	}
}

func TestADrainRightAfterComingInDoesNotBelieveAnOldAnswer(t *testing.T) {
	aws := awstest.New(t, awstest.Config{Lag: 60 * time.Millisecond})
	arn := aws.AddTargetGroup(awstest.TargetGroup{Name: "web", Type: "ip", Delay: time.Minute})
	l := aws.AddListener(awstest.Weights{arn: 1})
	e := newDriver(t, aws, PoolConfig{TargetGroups: []string{"web"}})
	b := balancertest.NewBackend(t, "a")
	if err := e.Activate(within(t, 20*time.Second), "web", b.Member); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		c, err := net.Dial("tcp", strings.TrimPrefix(l.URL, "http://"))
		if err == nil {
			_, err = fmt.Fprint(c, "GET /wait HTTP/1.0\r\n\r\n")
		}
		if err == nil {
			_, err = c.Read(make([]byte, 64))
			_ = c.Close()
		}
		done <- err
	}()
	balancertest.Eventually(t, "the request is open", func() bool { return b.Waiting.Load() == 1 })
	drained := make(chan error, 1)
	go func() { drained <- e.Drain(within(t, 20*time.Second), "web", b.Member) }()
	time.Sleep(300 * time.Millisecond)
	if len(drained) > 0 {
		t.Fatal("the drain ended with a request open")
	}
	b.Release()
	if err := errors.Join(<-done, <-drained); err != nil {
		t.Error(err)
	}
}

func TestARuleSwitchesSidesInOneStepUnderLoad(t *testing.T) {
	aws := awstest.New(t, awstest.Config{Lag: 40 * time.Millisecond})
	blue := aws.AddTargetGroup(awstest.TargetGroup{Name: "blue", Type: "ip", Delay: 5 * time.Second})
	green := aws.AddTargetGroup(awstest.TargetGroup{Name: "green", Type: "ip", Delay: 5 * time.Second})
	l := aws.AddListener(awstest.Weights{blue: 1, green: 0})
	e := newDriver(t, aws, PoolConfig{TargetGroups: []string{blue, green}, Rule: l.RuleARN})
	a, b, c := balancertest.NewBackend(t, "a"), balancertest.NewBackend(t, "b"), balancertest.NewBackend(t, "c")
	if err := e.Activate(within(t, 20*time.Second), "web", a.Member); err != nil {
		t.Fatal(err)
	}
	load, stop := balancertest.StartLoad(t, l.URL)
	c.Sick.Store(true)
	if err := e.Switch(within(t, time.Second), "web", []balancer.Member{b.Member, c.Member}, []balancer.Member{a.Member}); err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("a sick member was switched to: %v", err)
	}
	if w := l.Weights(); w[blue] != 1 || b.Served.Load() > 0 {
		t.Errorf("a switch that failed changed something: %v", w)
	}
	c.Sick.Store(false)
	for range 2 { // repeated as after a crash
		if err := e.Switch(within(t, 20*time.Second), "web", []balancer.Member{b.Member, c.Member}, []balancer.Member{a.Member}); err != nil {
			t.Fatal(err)
		}
	}
	status, err := e.Members(t.Context(), "web")
	if err != nil || status["a"] != "" || status["b"] != balancer.Up || status["c"] != balancer.Up || l.Weights()[green] != 100 {
		t.Error(status, l.Weights(), err)
	}
	if err := e.Switch(within(t, 20*time.Second), "web", []balancer.Member{a.Member}, []balancer.Member{b.Member, c.Member}); err != nil {
		t.Fatal(err)
	}
	stop()
	if failed := load.Failed(); len(failed) > 0 || load.Done.Load() < 50 {
		t.Errorf("%d of %d requests failed: %v", len(failed), load.Done.Load(), failed)
	}
}

func TestNamesOfAddressesOutliveTheMaster(t *testing.T) {
	aws := awstest.New(t, awstest.Config{})
	aws.AddTargetGroup(awstest.TargetGroup{Name: "web", Type: "ip"})
	file := filepath.Join(t.TempDir(), "balancers", "edge.json")
	first := newDriver(t, aws, PoolConfig{TargetGroups: []string{"web"}})
	if err := first.KeepState(file); err != nil {
		t.Fatal(err)
	}
	if err := first.Activate(within(t, 20*time.Second), "web", balancertest.NewBackend(t, "a").Member); err != nil {
		t.Fatal(err)
	}
	second := newDriver(t, aws, PoolConfig{TargetGroups: []string{"web"}})
	if err := second.KeepState(file); err != nil {
		t.Fatal(err)
	}
	if status, err := second.Members(t.Context(), "web"); err != nil || status["a"] != balancer.Up {
		t.Error(status, err)
	}
	if err := os.WriteFile(file, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := first.KeepState(file); err == nil {
		t.Error("a broken state was read")
	}
}

func TestConfigSaysWhatIsMissing(t *testing.T) {
	for want, c := range map[string]Config{
		"pools is missing":         {},
		"target_groups is missing": {Pools: map[string]PoolConfig{"a": {}}},
		"no URL":                   {Endpoint: "aws", Pools: map[string]PoolConfig{"a": {TargetGroups: []string{"x"}}}},
		"its sides":                {Pools: map[string]PoolConfig{"a": {TargetGroups: []string{"x"}, Rule: "arn:aws:x:listener-rule/a"}}},
		"not the ARN":              {Pools: map[string]PoolConfig{"a": {TargetGroups: []string{"x", "y"}, Rule: "first"}}},
	} {
		if _, err := New(c, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}
