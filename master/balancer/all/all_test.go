package all_test

import (
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/brine-deploy/brine/master/balancer"
	"github.com/brine-deploy/brine/master/balancer/all"
	"github.com/brine-deploy/brine/pkg/config"
	"github.com/brine-deploy/brine/pkg/registry"
)

func TestEachBalancerReadsItsSectionStrictly(t *testing.T) {
	for _, test := range []struct{ name, section, want string }{
		{"haproxy", "socket: /run/haproxy/admin.sock\ntimeout: 2s\nserver_options: check inter 500ms", ""},
		{"haproxy", "sockets: [/run/a.sock, 127.0.0.1:9999]", ""},
		{"haproxy", "sokcet: /run/a.sock", "sokcet"},
		{"proxy", "state: /s\npools: {Web.A: {listen: 127.0.0.1:0, health: {path: /health, interval: 1s, timeout: 500ms, rise: 2, fall: 2}}}", ""},
		{"proxy", "pools: {web: {listen: 127.0.0.1:0, health: {intervall: 1s}}}", "intervall"},
		{"nginx", "pools: {web: {options: [least_conn], server: max_fails=2, health: {path: /health, rise: 3}}}", ""},
		{"nginx", "pools: {web: {weight: 3}}", "weight"},
		{"exec", "command: [/bin/true, --pool]\nenv: {API: https://lb}", ""},
		{"exec", "command: [true]", "absolute path"},
		{"elbv2", "region: eu-central-1\npools: {web: {target_groups: [web-a, web-b], port: 8080}}", ""},
		{"elbv2", "pools: {web: {target_group: web}}", "target_group"},
		{"elbv2", "secret_key: x\npools: {web: {target_groups: [web]}}", "secret_key"},
		{"traefik", "", "known: elbv2, exec, haproxy, nginx, proxy"},
	} {
		section, err := config.NewSection(test.name, test.section)
		if err != nil {
			t.Fatal(err)
		}
		_, err = all.Balancers().New(test.name, section, slog.New(slog.DiscardHandler))
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %q: %v", test.name, test.section, err)
		}
	}
	byName := func(a, b registry.Plugin[balancer.Balancer]) int { return strings.Compare(a.Name, b.Name) }
	if !slices.IsSortedFunc(all.Balancers(), byName) {
		t.Error("the list is not sorted")
	}
}
