package runner

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"path/filepath"
	"strings"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// checkOrder refuses an order that cannot be followed, before anything is touched.
func checkOrder(job fleet.JobID, o fleet.ReleaseOrder) error {
	switch {
	case !fleet.ValidName(string(job)):
		return fmt.Errorf("order: invalid job id %q", job)
	case !fleet.ValidName(string(o.App)):
		return fmt.Errorf("order: invalid application name %q", o.App)
	case !fleet.ValidName(string(o.Group)):
		return fmt.Errorf("order: invalid group name %q", o.Group)
	case !o.Revision.Digest.Valid():
		return fmt.Errorf("order: invalid digest %q", o.Revision.Digest)
	case !filepath.IsAbs(o.Root) || filepath.Clean(o.Root) != o.Root || o.Root == "/" || strings.ContainsRune(o.Root, 0):
		return fmt.Errorf("order: root %q is not a clean absolute path below /", o.Root)
	case o.Keep < 0:
		return fmt.Errorf("order: keep is %d, below 0", o.Keep)
	case o.Hooks != "" && (path.Clean(o.Hooks) != strings.TrimSuffix(o.Hooks, "/") || !filepath.IsLocal(o.Hooks)):
		return fmt.Errorf("order: hooks %q is not a directory inside the archive", o.Hooks)
	}
	for name := range o.Env {
		if name == "" || strings.ContainsAny(name, "=\x00") || strings.ContainsRune(o.Env[name], 0) {
			return fmt.Errorf("order: invalid environment variable %q", name)
		}
	}
	if err := checkURL(o.URL); err != nil {
		return err
	}
	if _, err := newLayout(o); err != nil {
		return err
	}
	_, err := parseShared(o.Shared)
	return err
}

// checkURL never quotes the URL: its query may be a secret.
func checkURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" {
		return errors.New("order: the archive's URL is not one of http or https")
	}
	return nil
}

// sharedPath is one path that releases share.
type sharedPath struct {
	name string // clean, relative
	dir  bool   // a directory for sure; else the release's own content decides
}

// parseShared refuses paths that lead out of the release or lie in each other.
func parseShared(list []string) ([]sharedPath, error) {
	var out []sharedPath
	for _, text := range list {
		name, dir := strings.CutSuffix(text, "/")
		if name == "." || path.Clean(name) != name || !filepath.IsLocal(name) || strings.ContainsRune(name, 0) {
			return nil, fmt.Errorf("order: shared path %q is not a clean path inside the release", text)
		}
		for _, other := range out {
			if name == other.name || strings.HasPrefix(name, other.name+"/") || strings.HasPrefix(other.name, name+"/") {
				return nil, fmt.Errorf("order: shared paths %q and %q overlap", other.name, text)
			}
		}
		out = append(out, sharedPath{name, dir})
	}
	return out, nil
}

// oneLine makes an error fit into a return's reason.
func oneLine(err error) error {
	if err == nil {
		return nil
	}
	if first, _, more := strings.Cut(err.Error(), "\n"); more {
		return &shortError{first, err}
	}
	return err
}

type shortError struct {
	text string
	err  error
}

func (e *shortError) Error() string { return e.text }
func (e *shortError) Unwrap() error { return e.err }
