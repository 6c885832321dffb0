package build

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// environ is the environment of a step.
type environ map[string]string

// passed lists what a build step gets of the master's own environment: what finds programs, caches, proxies and keys.
// Nothing else of it is seen, so that what a build makes depends on its settings.
func passed() []string {
	return []string{
		"PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR",
		"XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "SSH_AUTH_SOCK", "SSL_CERT_FILE", "SSL_CERT_DIR",
		"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
		"GOPATH", "GOCACHE", "GOMODCACHE", "GOPROXY", "GOPRIVATE", "GONOSUMDB", "GOSUMDB", "GOTOOLCHAIN",
		"JAVA_HOME", "GRADLE_USER_HOME", "CARGO_HOME", "RUSTUP_HOME", "COMPOSER_HOME", "PIP_CACHE_DIR", "npm_config_cache",
	}
}

const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// environment is what the steps of an application have in common: what is passed, then the application's own, then the
// names that brine gives.
func (b *Builder) environment(app fleet.Application, origin fleet.Origin) (environ, error) {
	env := environ{"PATH": defaultPath}
	for _, name := range passed() {
		if value, ok := os.LookupEnv(name); ok {
			env[name] = value
		}
	}
	const writable = 2
	if env["HOME"] == "" || syscall.Access(env["HOME"], writable) != nil {
		// A service has no home, or must not write there; compilers and package managers need one for their caches.
		home, err := filepath.Abs(filepath.Join(b.Scratch, ".home"))
		if err == nil {
			err = os.MkdirAll(home, 0o700)
		}
		if err != nil {
			return nil, fmt.Errorf("make a home for build steps: %w", err)
		}
		env["HOME"] = home
	}
	if !origin.Time.IsZero() {
		env["SOURCE_DATE_EPOCH"] = strconv.FormatInt(origin.Time.Unix(), 10)
	}
	maps.Copy(env, app.Build.Env)
	env["BRINE_APP"], env["BRINE_REF"], env["BRINE_COMMIT"] = string(app.Name), origin.Ref, origin.Commit
	return env, nil
}

// with gives a copy that also has what a step sets.
func (e environ) with(more map[string]string) environ {
	out := maps.Clone(e)
	maps.Copy(out, more)
	return out
}

func (e environ) list() []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(e)) {
		out = append(out, name+"="+e[name])
	}
	return out
}

// lookPath finds a program in the step's own PATH, which may not be the master's. A name with a slash, or one that is not
// there, is given back.
func (e environ) lookPath(name string) string {
	if strings.Contains(name, "/") {
		return name
	}
	for _, dir := range filepath.SplitList(e["PATH"]) {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); filepath.IsAbs(path) && err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return path
		}
	}
	return name
}
