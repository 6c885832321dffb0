package file

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/brine-deploy/brine/states/state"
)

// keepers are the paths below dir that the required states manage, and the directories above them.
func keepers(ctx context.Context, c *state.Call, dir string) map[string]bool {
	keep := map[string]bool{}
	for _, req := range c.Requires {
		if req.State != "file" {
			continue
		}
		if req.Function == "recurse" {
			for _, path := range recursed(ctx, c.Host, req) {
				keepPath(keep, dir, path)
			}
			continue
		}
		keepPath(keep, dir, expand(req.Name))
		if req.Function == "directory" && !isLink(req.Name) {
			_ = filepath.WalkDir(req.Name, func(path string, _ fs.DirEntry, err error) error {
				if err == nil {
					keepPath(keep, dir, path)
				}
				return nil
			})
		}
	}
	return keep
}

func keepPath(keep map[string]bool, dir, path string) {
	for path = filepath.Clean(path); strings.HasPrefix(path, dir+"/"); path = filepath.Dir(path) {
		keep[path] = true
	}
}

// strays are the paths below dir that are neither kept nor excluded. With all, what is in a stray directory is listed too.
func strays(dir string, keep map[string]bool, exclude *pattern, all bool) []string {
	var found, dirs []string
	_ = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return nil //nolint:nilerr // what cannot be read stays
		}
		rel := strings.TrimPrefix(path, dir+"/")
		switch {
		case keep[path] || exclude.matches(rel):
		case e.IsDir() && !all && keepsInside(path, dir, exclude):
		case e.IsDir():
			dirs = append(dirs, path)
			if !all {
				return filepath.SkipDir
			}
		default:
			found = append(found, path)
		}
		return nil
	})
	return append(found, dirs...)
}

// keepsInside reports whether something below a directory is excluded from cleaning, so that it must stay.
func keepsInside(path, dir string, exclude *pattern) bool {
	inside := false
	if exclude == nil {
		return false
	}
	_ = filepath.WalkDir(path, func(below string, _ fs.DirEntry, err error) error {
		if err == nil && exclude.matches(strings.TrimPrefix(below, dir+"/")) {
			inside = true
			return filepath.SkipAll
		}
		return nil
	})
	return inside
}

// clean removes what strays below dir. Links are removed, not followed.
func clean(dir string, keep map[string]bool, exclude *pattern) ([]any, error) {
	var removed []any
	for _, path := range strays(dir, keep, exclude, false) {
		if err := os.RemoveAll(path); err != nil {
			return removed, fmt.Errorf("clean %s: %w", dir, err)
		}
		removed = append(removed, path)
	}
	return removed, nil
}
