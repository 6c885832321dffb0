package slscases_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/brine-deploy/brine/pkg/stateoutput"
)

// lines gives a line for each state, of what is compared strictly.
func lines(states []stateoutput.State) string {
	var b strings.Builder
	for _, s := range states {
		fmt.Fprintln(&b, strict(s))
	}
	return b.String()
}

func strict(s stateoutput.State) string {
	result, reason := "null", "-"
	if s.Result != nil {
		result = strconv.FormatBool(*s.Result)
	}
	if s.Reason != nil {
		reason = *s.Reason
	}
	return fmt.Sprintf("%d %s %s.%s %s changed=%t %s", s.Order, s.ID, s.State, s.Fun, result, s.Changed, reason)
}

// detailed is lines with what people are told.
func detailed(states []stateoutput.State) string {
	var b strings.Builder
	for _, s := range states {
		fmt.Fprintf(&b, "%s (%s)\n", strict(s), strings.ReplaceAll(s.Comment, "\n", "; "))
	}
	return b.String()
}

// tree gives a line for each thing below a directory.
func tree(t *testing.T, home string) string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(home, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || path == home {
			return err
		}
		name, _ := filepath.Rel(home, path)
		info, err := os.Lstat(path)
		if err != nil {
			return err
		}
		stat := info.Sys().(*syscall.Stat_t)
		mode := fmt.Sprintf("%04o", stat.Mode&0o7777)
		switch {
		case info.IsDir():
			all = append(all, fmt.Sprintf("%s dir %s %s", name, mode, owner(stat)))
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			all = append(all, fmt.Sprintf("%s link %s %s", name, target, owner(stat)))
			return err
		default:
			text, err := os.ReadFile(path)
			sum := sha256.Sum256(text)
			all = append(all, fmt.Sprintf("%s file %s %s %d %s", name, mode, owner(stat), len(text), hex.EncodeToString(sum[:])))
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return sorted(all)
}

func owner(s *syscall.Stat_t) string {
	name, group := fmt.Sprint(s.Uid), fmt.Sprint(s.Gid)
	if u, err := user.LookupId(name); err == nil {
		name = u.Username
	}
	if g, err := user.LookupGroupId(group); err == nil {
		group = g.Name
	}
	return name + ":" + group
}

// described gives what was recorded as tree does.
func described(recorded []map[string]any) string {
	var all []string
	for _, f := range recorded {
		switch f["type"] {
		case "dir":
			all = append(all, fmt.Sprintf("%s dir %s %s", f["path"], f["mode"], f["owner"]))
		case "link":
			all = append(all, fmt.Sprintf("%s link %s %s", f["path"], f["target"], f["owner"]))
		default:
			all = append(all, fmt.Sprintf("%s file %s %s %v %s", f["path"], f["mode"], f["owner"], f["size"], f["sha256"]))
		}
	}
	return sorted(all)
}

func sorted(all []string) string {
	slices.Sort(all)
	var b strings.Builder
	for _, line := range all {
		b.WriteString(line + "\n")
	}
	return b.String()
}
