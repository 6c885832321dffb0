package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/brine-deploy/brine/cmd/internal/fleettest"
	"github.com/brine-deploy/brine/master/cloud/awstest"
	"github.com/brine-deploy/brine/pkg/fleet"
)

// TestAnAutoScalingGroupGrowsAndShrinks starts minions as instances of a fake AWS: they enrol by their documents, and their
// lifecycle hooks wait for the master.
func TestAnAutoScalingGroupGrowsAndShrinks(t *testing.T) {
	t.Parallel()
	aws, signer := awstest.Start(t, awstest.Config{Lag: 50 * time.Millisecond}), awstest.NewSigner(t)
	edge := aws.AddListener(awstest.Weights{aws.AddTargetGroup(awstest.TargetGroup{Name: "web", Type: "ip", Path: "/", Delay: 5 * time.Second}): 1})
	s := fleettest.StartShop(t, fleettest.ShopConfig{Bin: bin, Minions: 1, Env: awstest.Environment(), Master: fmt.Sprintf(`
balancers: {edge: {type: elbv2, region: %[1]s, endpoint: %[2]q, poll: 50ms, settle: 150ms, pools: {shop: {target_groups: [web]}}}}
forget_after: 3s
clouds: {aws: {type: aws, region: %[1]s, endpoint: %[2]q, poll: 200ms, identity: {accounts: ["%[3]s"], certificates: [%[4]s]}}}
`, awstest.Region, aws.URL, awstest.Account, signer.Certificate)})
	file := filepath.Join(s.Dir, "apps.d", "shop.yml")
	app, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(app), "    strategy:", "    balancer: {use: edge, pool: shop, address: \"127.0.0.1:{tags.port}\", drain_timeout: 10s, healthy_timeout: 20s}\n    strategy:", 1)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s.Commit("v1")
	s.Must(0, "deploy", "shop", "production", "--ref", "v1", "--yes")
	load := fleettest.StartLoad(t, edge.URL)

	launch := func(minion, id, state string) *awstest.Instance {
		instance := aws.Launch(id, "web", state, time.Minute)
		dir := filepath.Join(s.Dir, minion)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		port, err := fleettest.FreePorts(1)
		if err != nil {
			t.Fatal(err)
		}
		s.Ports[minion] = port[0]
		conf := fmt.Sprintf("id: %s\nmaster: 127.0.0.1:%s\nmaster_key: %s\nstate_dir: %s/state\nstartup: highstate\ncloud: ec2\ntags: {role: web, port: \"%s\"}\n", minion, s.Bus, s.MasterKey(), dir, port[0])
		if err := os.WriteFile(filepath.Join(dir, "minion.yml"), []byte(conf), 0o600); err != nil {
			t.Fatal(err)
		}
		s.Env = append(awstest.Environment(), "AWS_EC2_METADATA_SERVICE_ENDPOINT="+signer.Metadata(t, id))
		s.StartMinion(minion)
		return instance
	}
	is := func(i *awstest.Instance, want string) {
		t.Helper()
		s.Await(i.ID+" is "+want, func() bool { state, _ := i.State(); return state == want })
	}
	one := launch("web2", "i-0002", awstest.PendingWait)
	is(one, awstest.InService)
	if s.Serves("web2") != "v1" || s.Pool()["web2"] != "up" {
		t.Errorf("web2 serves %s, %v", s.Serves("web2"), s.Pool())
	}

	warm := launch("web3", "i-0003", awstest.WarmedWait)
	is(warm, awstest.WarmedStopped)
	if s.Live("web3") != "v1" || s.Pool()["web3"] == "up" {
		t.Errorf("web3 of the warm pool has %s, %v", s.Live("web3"), s.Pool())
	}
	is(aws.Launch("i-0003", "web", awstest.PendingWait, time.Minute), awstest.InService)
	if s.Pool()["web3"] != "up" {
		t.Errorf("web3 left the warm pool: %v", s.Pool())
	}

	one.Terminate()
	is(one, awstest.Terminated)
	var drained fleet.Drained
	if err := s.Post(t.Context(), "/v1/minions/web1/leave", nil, &drained); err != nil || len(drained.Pools) != 1 {
		t.Errorf("web1 has not left: %v, %v", drained, err)
	}
	var minions []fleet.Minion
	if err := s.API(t.Context(), "/v1/minions", &minions); err != nil || len(minions) != 1 || minions[0].ID != "web3" {
		t.Errorf("the fleet is %v, %v; want web3", minions, err)
	}
	answers := load.Stop()
	s.Kill("web3")
	s.Await("web3 is forgotten", func() bool {
		return s.API(t.Context(), "/v1/minions", &minions) == nil && len(minions) == 0
	})
	for answer, n := range answers {
		if answer != "v1" {
			t.Errorf("%d requests got %q", n, answer)
		}
	}
}
