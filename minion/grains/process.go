package grains

import (
	"cmp"
	"context"
	"io/fs"
	"os"
	"os/user"
	"strings"
	"time"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// probeProcess finds what this process is: uid, username, gid, groupname, pid, path, systempath, shell, ps, cwd; and its
// language and time zone as locale_info.
func probeProcess(context.Context, fs.FS) (fleet.Grains, error) {
	path := os.Getenv("PATH")
	parts := []any{}
	for part := range strings.SplitSeq(path, ":") {
		parts = append(parts, part)
	}
	found := fleet.Grains{
		"uid": os.Getuid(), "gid": os.Getgid(), "pid": os.Getpid(), "path": path, "systempath": parts, "shell": cmp.Or(os.Getenv("SHELL"), "/bin/sh"),
		"ps": "ps -efHww", "locale_info": localeInfo(os.Getenv),
	}
	if cwd, err := os.Getwd(); err == nil {
		found["cwd"] = cwd
	}
	u, err := user.Current()
	if err != nil {
		return found, err
	}
	found["username"] = u.Username
	if g, err := user.LookupGroupId(u.Gid); err == nil {
		found["groupname"] = g.Name
	}
	return found, nil
}

func localeInfo(env func(string) string) map[string]any {
	zone, _ := time.Now().Zone()
	info := map[string]any{"defaultlanguage": nil, "defaultencoding": nil, "detectedencoding": "utf-8", "timezone": zone}
	full := cmp.Or(env("LC_ALL"), env("LC_CTYPE"), env("LANG"))
	if full == "" || full == "C" || full == "POSIX" {
		return info
	}
	language, encoding, _ := strings.Cut(full, ".")
	if language != "C" {
		info["defaultlanguage"] = language
	} else {
		info["defaultlanguage"] = "en_US" // as Python says of C.UTF-8
	}
	if encoding != "" {
		info["defaultencoding"] = strings.ToUpper(strings.Replace(encoding, "utf8", "UTF-8", 1))
	}
	return info
}
