package modules

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/pkg/target"
)

// readLimit bounds what is read of one file into memory.
const readLimit = 64 << 20

// onPath makes a function of one path, which may begin with a tilde.
func onPath(doc string, params []string, run func(name string, args *data.Map) (any, error)) Function {
	return Function{Doc: doc, Params: append([]string{"path"}, params...), Run: func(_ context.Context, _ *Env, args *data.Map) (any, error) {
		name, err := textArg(args, "path")
		if err != nil {
			return nil, err
		}
		return run(home(name), args)
	}}
}

// home puts our own home, or another user's, in the place of a leading tilde.
func home(name string) string {
	who, below, _ := strings.Cut(name, "/")
	switch {
	case !strings.HasPrefix(name, "~"):
		return name
	case who == "~":
		if dir, err := os.UserHomeDir(); err == nil {
			return path.Join(dir, below)
		}
	default:
		if u, err := user.Lookup(who[1:]); err == nil {
			return path.Join(u.HomeDir, below)
		}
	}
	return name
}

func is(kind func(fs.FileMode) bool, stat func(string) (fs.FileInfo, error)) func(string, *data.Map) (any, error) {
	return func(name string, _ *data.Map) (any, error) {
		info, err := stat(name)
		return err == nil && kind(info.Mode()), nil
	}
}

func fileFamily() map[string]Function {
	link := func(m fs.FileMode) bool { return m&fs.ModeSymlink != 0 }
	return map[string]Function{
		"file.file_exists":      onPath("Whether a path is a file.\npath\n  file.file_exists /etc/hosts", nil, is(fs.FileMode.IsRegular, os.Stat)),
		"file.directory_exists": onPath("Whether a path is a directory.\npath\n  file.directory_exists /etc", nil, is(fs.FileMode.IsDir, os.Stat)),
		"file.is_link":          onPath("Whether a path is a symbolic link.\npath\n  file.is_link /etc/mtab", nil, is(link, os.Lstat)),
		"file.path_exists_glob": onPath("Whether any path matches a pattern.\npath\n  file.path_exists_glob '/etc/host*'", nil, func(name string, _ *data.Map) (any, error) {
			found, err := filepath.Glob(name)
			return len(found) > 0, err
		}),
		"file.access": onPath("Whether we may use a path.\npath; mode: f (is it there), r, w or x\n  file.access /etc/hosts r", []string{"mode"}, fileAccess),
		"file.read": onPath("What is in a file.\npath\n  file.read /etc/hostname", []string{"binary"}, func(name string, _ *data.Map) (any, error) {
			text, err := readFile(name)
			return string(text), err
		}),
		"file.readlink": onPath("Where a symbolic link leads.\npath; canonicalize: to the end of all links\n  file.readlink /etc/mtab", []string{"canonicalize"}, func(name string, args *data.Map) (any, error) {
			if flagArg(args, "canonicalize", false) {
				return filepath.EvalSymlinks(name)
			}
			return os.Readlink(name)
		}),
		"file.readdir": onPath("The names in a directory, . and .. too.\npath\n  file.readdir /etc", nil, func(name string, _ *data.Map) (any, error) {
			entries, err := os.ReadDir(name)
			names := []any{".", ".."}
			for _, e := range entries {
				names = append(names, e.Name())
			}
			return names, err
		}),
		"file.stats":     onPath("What a file is: type, owner, mode, size, times.\npath; hash_type; follow_symlinks (true)\n  file.stats /etc/hosts", []string{"hash_type", "follow_symlinks"}, fileStats),
		"file.get_mode":  onPath("A file's mode in four digits.\npath; follow_symlinks\n  file.get_mode /etc/hosts", []string{"follow_symlinks"}, stat("mode")),
		"file.get_uid":   onPath("The number of a file's owner.\npath; follow_symlinks\n  file.get_uid /etc/hosts", []string{"follow_symlinks"}, stat("uid")),
		"file.get_gid":   onPath("The number of a file's group.\npath; follow_symlinks\n  file.get_gid /etc/hosts", []string{"follow_symlinks"}, stat("gid")),
		"file.get_user":  onPath("The name of a file's owner.\npath; follow_symlinks\n  file.get_user /etc/hosts", []string{"follow_symlinks"}, stat("user")),
		"file.get_group": onPath("The name of a file's group.\npath; follow_symlinks\n  file.get_group /etc/hosts", []string{"follow_symlinks"}, stat("group")),
		"file.get_hash":  onPath("The checksum of a file.\npath; form (sha256)\n  file.get_hash /etc/hosts", []string{"form", "chunk_size"}, fileHash),
		"file.get_sum":   onPath("The checksum of a file.\npath; form (sha256)\n  file.get_sum /etc/hosts", []string{"form"}, fileHash),
		"file.check_hash": onPath("Whether a file has a checksum: ALGORITHM=SUM, or a sum alone.\npath; file_hash\n  file.check_hash /etc/hosts md5=d41d8cd98f00b204e9800998ecf8427e", []string{"file_hash"}, func(name string, args *data.Map) (any, error) {
			form, sum, ok := strings.Cut(strings.ReplaceAll(stringArg(args, "file_hash", ""), ":", "="), "=")
			if !ok {
				form, sum = formOf(form), form
			}
			got, err := hashFile(name, form)
			return strings.EqualFold(got, sum), err
		}),
		"file.contains":       onPath("Whether a file contains a text.\npath; text\n  file.contains /etc/hosts localhost", []string{"text"}, fileContains),
		"file.contains_regex": onPath("Whether a line of a file matches a regular expression at its start.\npath; regex\n  file.contains_regex /etc/hosts '127[.]'", []string{"regex", "lchar"}, fileMatches("regex", `\A`)),
		"file.search":         onPath("Whether a regular expression is found in a file.\npath; pattern; ignore_if_missing\n  file.search /etc/hosts '^127'", []string{"pattern", "flags", "bufsize", "ignore_if_missing", "multiline"}, fileMatches("pattern", "")),
		"file.contains_glob": onPath("Whether a line of a file matches a glob.\npath; glob_expr\n  file.contains_glob /etc/hosts '127*'", []string{"glob_expr"}, func(name string, args *data.Map) (any, error) {
			text, err := readFile(name)
			if errors.Is(err, fs.ErrNotExist) {
				return false, nil
			}
			lines := strings.Split(string(text), "\n")
			return slices.ContainsFunc(lines, func(l string) bool { return target.Glob(stringArg(args, "glob_expr", ""), l) }), err
		}),
		"file.basename": onPath("The last part of a path.\npath\n  file.basename /a/b.txt", nil, func(name string, _ *data.Map) (any, error) {
			return name[strings.LastIndex(name, "/")+1:], nil
		}),
		"file.dirname": onPath("A path without its last part.\npath\n  file.dirname /a/b.txt", nil, func(name string, _ *data.Map) (any, error) {
			dir := name[:strings.LastIndex(name, "/")+1]
			if strings.Trim(dir, "/") != "" {
				dir = strings.TrimRight(dir, "/")
			}
			return dir, nil
		}),
		"file.normpath": onPath("A path without needless parts.\npath\n  file.normpath /a/../b", nil, func(name string, _ *data.Map) (any, error) { return path.Clean(name), nil }),
		"file.join": {
			Doc: "Parts joined to a path; one that begins with a slash starts anew.\nany number of parts\n  file.join /a b", Params: []string{"*"},
			Run: func(_ context.Context, _ *Env, args *data.Map) (any, error) { return joined(texts(rest(args))), nil },
		},
	}
}

// joined is Python's os.path.join.
func joined(parts []string) string {
	all := ""
	for i, part := range parts {
		switch {
		case i == 0 || strings.HasPrefix(part, "/"):
			all = part
		case all == "" || strings.HasSuffix(all, "/"):
			all += part
		default:
			all += "/" + part
		}
	}
	return all
}

func readFile(name string) ([]byte, error) {
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("read %s: it is no file", name)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // read only
	text, err := io.ReadAll(io.LimitReader(f, readLimit+1))
	if err == nil && len(text) > readLimit {
		err = fmt.Errorf("read %s: it has more than %d bytes", name, readLimit)
	}
	return text, err
}

func fileAccess(name string, args *data.Map) (any, error) {
	modes := map[string]uint32{"f": 0, "x": 1, "w": 2, "r": 4}
	mode, ok := modes[strings.ToLower(stringArg(args, "mode", "f"))]
	if !ok {
		return nil, fmt.Errorf("%w: mode must be f, r, w or x", ErrArguments)
	}
	return syscall.Access(name, mode) == nil, nil
}

func fileContains(name string, args *data.Map) (any, error) {
	text, err := readFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return bytes.Contains(text, []byte(strings.TrimSpace(stringArg(args, "text", "")))), err
}

func fileMatches(param, anchor string) func(string, *data.Map) (any, error) {
	return func(name string, args *data.Map) (any, error) {
		re, err := regexp.Compile("(?m)" + strings.ReplaceAll(anchor, `\A`, "^") + "(?:" + stringArg(args, param, "") + ")")
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrArguments, err)
		}
		text, err := readFile(name)
		if errors.Is(err, fs.ErrNotExist) && (param == "regex" || flagArg(args, "ignore_if_missing", false)) {
			return false, nil
		}
		return re.Match(text), err
	}
}

// stat makes a function of one field of file.stats.
func stat(field string) func(string, *data.Map) (any, error) {
	return func(name string, args *data.Map) (any, error) {
		all, err := fileStats(name, args)
		if err != nil {
			return nil, err
		}
		v, _ := all.(*data.Map).Get(field)
		return v, nil
	}
}

func fileStats(name string, args *data.Map) (any, error) {
	look := os.Stat
	if !flagArg(args, "follow_symlinks", true) {
		look = os.Lstat
	}
	info, err := look(name)
	if err != nil {
		return nil, err
	}
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil, fmt.Errorf("read status of %s: not known here", name)
	}
	kinds := map[uint32]string{
		syscall.S_IFREG: "file", syscall.S_IFDIR: "dir", syscall.S_IFLNK: "link", syscall.S_IFSOCK: "socket",
		syscall.S_IFIFO: "pipe", syscall.S_IFBLK: "block", syscall.S_IFCHR: "char",
	}
	seconds := func(t syscall.Timespec) float64 { return float64(t.Sec) + float64(t.Nsec)/1e9 }
	return data.NewMap(
		"inode", int64(s.Ino), "uid", int64(s.Uid), "gid", int64(s.Gid), "group", groupName(s.Gid), "user", userName(s.Uid),
		"atime", seconds(s.Atim), "mtime", seconds(s.Mtim), "ctime", seconds(s.Ctim), "size", s.Size,
		"mode", fmt.Sprintf("%04o", s.Mode&0o7777), "type", kinds[s.Mode&syscall.S_IFMT], "target", name,
	), nil
}

func userName(id uint32) string {
	if u, err := user.LookupId(strconv.Itoa(int(id))); err == nil {
		return u.Username
	}
	return ""
}

func groupName(id uint32) string {
	if g, err := user.LookupGroupId(strconv.Itoa(int(id))); err == nil {
		return g.Name
	}
	return ""
}
