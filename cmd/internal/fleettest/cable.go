package fleettest

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Cable joins two network namespaces. It can go silent in each direction, as networks do: nobody is told.
type Cable struct {
	t    testing.TB
	Ends [2]End
}

// End is one network namespace, with nothing in it but the cable.
type End struct {
	Netns   string
	Address string
}

// plug is the name of the interface in each namespace.
const plug = "cable"

// StartCable lays a cable, one at a time. It is gone when the test ends and the daemons at its ends have ended. Without the
// right to it, which root has, the test is skipped.
func StartCable(t testing.TB) *Cable {
	t.Helper()
	Needs(t, "ip", "Debian package iproute2")
	Needs(t, "iptables", "Debian package iptables")
	c := &Cable{t: t}
	for i := range c.Ends {
		c.Ends[i] = End{fmt.Sprintf("brine-%d-%d", os.Getpid(), i), fmt.Sprintf("10.213.0.%d", i+1)}
		if out, err := exec.Command("ip", "netns", "add", c.Ends[i].Netns).CombinedOutput(); err != nil {
			c.forbidden(err, out)
		}
		t.Cleanup(func() { c.ip("netns", "delete", c.Ends[i].Netns) }) // and its end of the cable
	}
	a, b := c.Ends[0].Netns, c.Ends[1].Netns
	c.ip("link", "add", plug, "netns", a, "type", "veth", "peer", "name", plug, "netns", b)
	for _, end := range c.Ends {
		c.ip("-n", end.Netns, "address", "add", end.Address+"/30", "dev", plug)
		c.ip("-n", end.Netns, "link", "set", plug, "up")
		c.ip("-n", end.Netns, "link", "set", "lo", "up")
		if out, err := iptables(end, "--new-chain", plug); err != nil {
			c.forbidden(err, out)
		}
		c.inside(end, "--append", "INPUT", "--in-interface", plug, "--jump", plug)
	}
	return c
}

// forbidden skips the test; in CI it fails.
func (c *Cable) forbidden(err error, out []byte) {
	c.t.Helper()
	if os.Getenv("CI") == "true" {
		c.t.Fatalf("needs root, network namespaces and iptables: %v: %s", err, out)
	}
	c.t.Skipf("needs root, network namespaces and iptables: %v: %s", err, out)
}

// Silence drops all that would arrive at an end.
func (c *Cable) Silence(end int) {
	c.t.Helper()
	c.inside(c.Ends[end], "--append", plug, "--jump", "DROP")
}

// Heal lets everything through again.
func (c *Cable) Heal() {
	c.t.Helper()
	for _, end := range c.Ends {
		c.inside(end, "--flush", plug)
	}
}

func (c *Cable) inside(end End, args ...string) {
	c.t.Helper()
	if out, err := iptables(end, args...); err != nil {
		c.t.Fatalf("iptables %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func iptables(end End, args ...string) ([]byte, error) {
	return exec.Command("ip", append([]string{"netns", "exec", end.Netns, "iptables", "--wait"}, args...)...).CombinedOutput()
}

func (c *Cable) ip(args ...string) {
	c.t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		c.t.Errorf("ip %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}
