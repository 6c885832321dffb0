package house_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/brine-deploy/brine/master/balancer/elbv2"
	execbalancer "github.com/brine-deploy/brine/master/balancer/exec"
	"github.com/brine-deploy/brine/master/balancer/haproxy"
	"github.com/brine-deploy/brine/master/balancer/nginx"
	"github.com/brine-deploy/brine/master/balancer/proxy"
	"github.com/brine-deploy/brine/master/cloud"
	"github.com/brine-deploy/brine/pkg/config"
	"github.com/brine-deploy/brine/pkg/store/dir"
	"github.com/brine-deploy/brine/pkg/store/s3"
	"github.com/brine-deploy/brine/pkg/target"
	"github.com/brine-deploy/brine/returners/file"
	"github.com/brine-deploy/brine/returners/prometheus"
	"github.com/brine-deploy/brine/returners/webhook"
	"github.com/brine-deploy/brine/returners/zmq"
)

// pluginConfigs are the Configs that the sections of a sample decode into.
var pluginConfigs = map[string]func() any{
	"dir":        func() any { return new(dir.Config) },
	"s3":         func() any { return new(s3.Config) },
	"exec":       func() any { return new(execbalancer.Config) },
	"elbv2":      func() any { return new(elbv2.Config) },
	"haproxy":    func() any { return new(haproxy.Config) },
	"nginx":      func() any { return new(nginx.Config) },
	"proxy":      func() any { return new(proxy.Config) },
	"file":       func() any { return new(file.Config) },
	"webhook":    func() any { return new(webhook.Config) },
	"prometheus": func() any { return new(prometheus.Config) },
	"zmq":        func() any { return new(zmq.Config) },
}

// A setting behind a # has no space after it, or the spaces of its depth; a comment has one space.
var disabled = regexp.MustCompile(`(?m)^( *)#( {2,}\S|[^ \n])`)

// variants writes a sample as it is, and with all that stands behind a #, into directories of their own.
func variants(t *testing.T, name string) map[string]string {
	t.Helper()
	text := read(t, filepath.Join("etc", name))
	files := map[string]string{"as it is": text, "with all that stands behind a #": disabled.ReplaceAllString(text, "$1$2")}
	for variant, text := range files {
		files[variant] = filepath.Join(t.TempDir(), filepath.Base(name))
		if err := os.WriteFile(files[variant], []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

func TestTheSampleOfTheMasterLoads(t *testing.T) {
	for variant, file := range variants(t, "master.yml") {
		t.Run(variant, func(t *testing.T) {
			m, err := config.LoadMaster(file, nil)
			if err != nil {
				t.Fatal(err)
			}
			sections := map[string]config.Section{"store": m.Store}
			for name, s := range m.Balancers {
				sections["balancers."+name] = s
			}
			for name, s := range m.Returners {
				sections["returners."+name] = s
			}
			for name, s := range m.Clouds {
				clouds := map[string]any{"aws": new(cloud.Config), "webhook": new(cloud.WebhookConfig)}
				if err := s.Decode(clouds[s.Type]); err != nil {
					t.Errorf("clouds.%s: %v", name, err)
				}
			}
			for name, s := range sections {
				newConfig, ok := pluginConfigs[s.Type]
				if !ok {
					t.Errorf("%s has the type %q, which is not known here", name, s.Type)
				} else if err := s.Decode(newConfig()); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
		})
	}
}

func TestTheSampleOfTheMinionLoads(t *testing.T) {
	for variant, file := range variants(t, "minion.yml") {
		t.Run(variant, func(t *testing.T) {
			m, err := config.LoadMinion(file, nil)
			if err != nil {
				t.Fatal(err)
			}
			if m.Tags["role"] != "web" || m.Grains["rack"] != "a7" {
				t.Errorf("tags %v, grains %v", m.Tags, m.Grains)
			}
		})
	}
}

func TestTheSampleOfTheCommandLineLoads(t *testing.T) {
	for variant, file := range variants(t, "brine.yml") {
		t.Run(variant, func(t *testing.T) {
			if c, err := config.LoadCLI(file, nil); err != nil || c != config.DefaultCLI() {
				t.Errorf("%+v, %v", c, err)
			}
		})
	}
}

func TestTheSampleApplicationFitsTheSampleMaster(t *testing.T) {
	m, err := config.LoadMaster(filepath.Join(root(t), "etc/master.yml"), nil)
	if err != nil {
		t.Fatal(err)
	}
	checks := config.AppChecks{Sources: []string{"git"}, Target: func(expr string) error {
		_, err := target.Parse(expr)
		return err
	}}
	for name := range m.Balancers {
		checks.Balancers = append(checks.Balancers, name)
	}
	for variant, file := range variants(t, "apps.d/shop.yml") {
		t.Run(variant, func(t *testing.T) {
			apps, err := config.LoadApplications(filepath.Dir(file), checks)
			if err != nil || len(apps) != 1 || apps[0].Name != "shop" {
				t.Errorf("%+v, %v", apps, err)
			}
		})
	}
}

func TestHAProxyTakesItsSample(t *testing.T) {
	haproxy := program(t, "haproxy", "haproxy")
	text := strings.ReplaceAll(read(t, "etc/haproxy.cfg"), "/var/lib/haproxy/", t.TempDir()+"/")
	cfg := filepath.Join(t.TempDir(), "haproxy.cfg")
	if err := os.WriteFile(cfg, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), haproxy, "-c", "-f", cfg).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
