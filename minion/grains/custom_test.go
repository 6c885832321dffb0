package grains

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/pkg/fleet"
)

func TestExecutablesAddGrains(t *testing.T) {
	dir := t.TempDir()
	for name, script := range map[string]string{
		"10-json":  "#!/bin/sh\necho '{\"rack\": \"a7\", \"n\": 1}'\n",
		"20-yaml":  "#!/bin/sh\necho 'rack: b8'; echo 'roles: [web, db]'; echo noise >&2\n",
		"30-fails": "#!/bin/sh\necho 'never: 1'; exit 3\n",
		"40-list":  "#!/bin/sh\necho '[1]'\n",
		"50-none":  "#!/bin/sh\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o700); err != nil { //nolint:gosec // a program
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "60-plain"), []byte("never: 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	set := filepath.Join(dir, "set.json")
	if err := WriteSet(set, data.NewMap("tier", "gold", "n", int64(2))); err != nil {
		t.Fatal(err)
	}
	options := Options{Dir: dir, Configured: fleet.Grains{"tier": "silver", "own": true}, Set: set}
	got := Find(t.Context(), options, "web1", slog.New(slog.DiscardHandler))
	for name, want := range map[string]any{"rack": "b8", "roles": []any{"web", "db"}, "n": int64(2), "tier": "gold", "own": true, "id": "web1", "never": nil} {
		if !reflect.DeepEqual(got[name], want) {
			t.Errorf("%s: %v, not %v", name, got[name], want)
		}
	}
	if _, err := runScript(t.Context(), filepath.Join(dir, "30-fails")); err == nil {
		t.Error("a failed one is no error")
	}
	if _, err := runScript(t.Context(), filepath.Join(dir, "40-list")); err == nil || !strings.Contains(err.Error(), "mapping") {
		t.Errorf("%v", err)
	}
}

// metadata is EC2's metadata service as its documentation has it: no answer without a token of its own, which must come
// from a PUT that says how long it lives, and not through a forwarder.
type metadata struct {
	mu     sync.Mutex
	tokens map[string]int // guarded by mu; how often each may still be shown
	uses   int            // of each new token
	tags   string         // status when empty: not allowed
}

func (m *metadata) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r.URL.Path == "/latest/api/token" {
		seconds := r.Header.Get("X-Aws-Ec2-Metadata-Token-Ttl-Seconds")
		if r.Method != http.MethodPut || seconds == "" || r.Header.Get("X-Forwarded-For") != "" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		token := strings.Repeat("t", len(m.tokens)+1)
		m.tokens[token] = m.uses
		_, _ = w.Write([]byte(token))
		return
	}
	token := r.Header.Get("X-Aws-Ec2-Metadata-Token")
	if m.tokens[token] <= 0 {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	m.tokens[token]--
	answers := map[string]string{
		"/latest/dynamic/instance-identity/document": `{"accountId":"123456789012","architecture":"x86_64","availabilityZone":"eu-west-1b",
			"imageId":"ami-5fb8c835","instanceId":"i-1234567890abcdef0","instanceType":"t3.small","privateIp":"10.0.0.9","region":"eu-west-1","version":"2017-09-30"}`,
		"/latest/meta-data/instance-life-cycle": "on-demand",
	}
	if m.tags != "" {
		answers["/latest/meta-data/tags/instance/"] = m.tags
		answers["/latest/meta-data/tags/instance/Name"] = "web1"
		answers["/latest/meta-data/tags/instance/aws:autoscaling:groupName"] = "shop"
	}
	text, ok := answers[r.URL.Path]
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	_, _ = w.Write([]byte(text))
}

func TestEC2IsAskedWithATokenThatIsRenewed(t *testing.T) {
	service := &metadata{tokens: map[string]int{}, uses: 2, tags: "Name\naws:autoscaling:groupName"}
	server := httptest.NewServer(service)
	defer server.Close()
	client := metadataClient()
	got, err := (&EC2{Endpoint: server.URL, Client: client}).Find(t.Context())
	want := fleet.Grains{"ec2": map[string]any{
		"instance_id": "i-1234567890abcdef0", "instance_type": "t3.small", "ami_id": "ami-5fb8c835", "zone": "eu-west-1b", "region": "eu-west-1",
		"account_id": "123456789012", "architecture": "x86_64", "private_ip": "10.0.0.9", "life_cycle": "on-demand",
		"tags": map[string]any{"Name": "web1", "aws:autoscaling:groupName": "shop"},
	}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	if tags := Tags(got); tags["aws:autoscaling:groupName"] != "shop" || len(tags) != 2 {
		t.Errorf("%v", tags)
	}
	if len(service.tokens) < 2 {
		t.Error("no token was renewed")
	}
	service.tags = ""
	got, err = (&EC2{Endpoint: server.URL, Client: client}).Find(t.Context())
	if ec2, _ := got["ec2"].(map[string]any); err != nil || ec2["zone"] != "eu-west-1b" || ec2["tags"] != nil {
		t.Errorf("tags that are not allowed: %v, %v", got, err)
	}
	service.uses = 0
	if _, err := (&EC2{Endpoint: server.URL, Client: client}).Find(t.Context()); err == nil {
		t.Error("no token works, and that is no error")
	}
}

func TestOnlyAnEC2InstanceAsksByItself(t *testing.T) {
	ec2 := fstest.MapFS{"sys/class/dmi/id/sys_vendor": {Data: []byte("Amazon EC2\n")}}
	if !wanted(CloudAuto, ec2) || wanted(CloudAuto, fstest.MapFS{}) || wanted(CloudNone, ec2) || wanted("", ec2) || !wanted(CloudEC2, fstest.MapFS{}) {
		t.Error("the wrong hosts ask")
	}
}

func TestInitAndSystemd(t *testing.T) {
	for want, root := range map[string]fstest.MapFS{
		"systemd":  {"run/systemd/system/x": {}, "usr/lib/x86_64-linux-gnu/systemd/libsystemd-shared-252.so": {}},
		"tini":     {"proc/1/cmdline": {Data: []byte("/sbin/tini\x00--\x00sh")}},
		"sysvinit": {"proc/1/cmdline": {Data: []byte("init [2]")}, "etc/inittab": {Data: []byte("x")}},
		"unknown":  {},
	} {
		got, err := probeInit(t.Context(), root)
		if err != nil || got["init"] != want {
			t.Errorf("%v, %v; not %s", got, err, want)
		}
		if s, _ := got["systemd"].(map[string]any); want == "systemd" && s["version"] != "252" {
			t.Errorf("%v", got)
		}
	}
}

func TestNetworkAndHardwareGrains(t *testing.T) {
	root := fstest.MapFS{
		"proc/net/route":                 {Data: []byte("Iface\tDestination\tGateway\neth0\t00000000\t0100A8C0\t0003\n")},
		"etc/resolv.conf":                {Data: []byte("# x\nnameserver 10.0.0.2\nnameserver fd00::2\nsearch a.example b.example\n")},
		"sys/class/dmi/id/sys_vendor":    {Data: []byte("Dell Inc.\n")},
		"sys/block/sda/queue/rotational": {Data: []byte("1\n")}, "sys/block/nvme0n1/queue/rotational": {Data: []byte("0\n")},
	}
	ip, err := probeIP(t.Context(), root)
	hardware, hwErr := probeHardware(t.Context(), root)
	if err := errors.Join(err, hwErr); err != nil {
		t.Fatal(err)
	}
	dns := ip["dns"].(map[string]any)
	if ip["ip4_gw"] != "192.168.0.1" || ip["ip6_gw"] != false || ip["ip_gw"] != true || !reflect.DeepEqual(dns["ip4_nameservers"], []any{"10.0.0.2"}) || !reflect.DeepEqual(dns["search"], []any{"a.example", "b.example"}) {
		t.Errorf("%v", ip)
	}
	if hardware["manufacturer"] != "Dell Inc." || !reflect.DeepEqual(hardware["ssds"], []any{"nvme0n1"}) || !reflect.DeepEqual(hardware["disks"], []any{"sda"}) {
		t.Errorf("%v", hardware)
	}
	env := func(v string) func(string) string { return func(string) string { return v } }
	if got := localeInfo(env("de_DE.utf8")); got["defaultlanguage"] != "de_DE" || got["defaultencoding"] != "UTF-8" {
		t.Errorf("%v", got)
	}
}
