package archive

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/states/account"
	"github.com/brine-deploy/brine/states/args"
	"github.com/brine-deploy/brine/states/fetch"
	"github.com/brine-deploy/brine/states/state"
	"github.com/brine-deploy/brine/states/tool"
)

// extracted is an archive that should be unpacked in a directory.
type extracted struct {
	c                        *state.Call
	name                     string // ends in a slash
	sources                  []string
	source, hash, hashName   string
	skipVerify               bool
	options, format          string
	force, overwrite         bool
	clean, cleanParent       bool
	user, group              string
	uid, gid                 int // -1 when not asked
	ifMissing                string
	topLevel, perms          bool
	trim                     int64
	ownershipOn              string
	want                     fetch.Sum
	made, missing, extracted bool
}

var stripOption = regexp.MustCompile(`--strip(?:-components)?(?:\s+|=)["']?(\d+)["']?`)

func run(ctx context.Context, c *state.Call) state.Result {
	x, res, stop := read(ctx, c)
	if stop {
		return res
	}
	if x.ifMissing != "" {
		if _, err := os.Stat(x.ifMissing); err == nil {
			return args.Fine("Path %s exists", x.ifMissing)
		}
	}
	if res, stop := x.choose(ctx); stop {
		return res
	}
	if c.Test && fetch.Scheme(x.source) != "file" {
		return args.Would(nil, "Archive %s would be cached (if necessary) and checked to discover if extraction is needed", fetch.Redacted(x.source))
	}
	o, res, stop := x.open(ctx)
	if stop {
		return res
	}
	defer o.blob.Close()
	return x.apply(ctx, o)
}

func read(ctx context.Context, c *state.Call) (x *extracted, res state.Result, stop bool) {
	a := args.Of(c)
	x = &extracted{
		c: c, name: strings.TrimRight(c.Name, "/") + "/", sources: a.List("source"), hash: a.Text("source_hash", ""), hashName: a.Text("source_hash_name", ""),
		skipVerify: a.Bool("skip_verify", false), options: a.Text("options", ""), format: strings.ToLower(a.Text("archive_format", "")),
		force: a.Bool("force", false), overwrite: a.Bool("overwrite", false), clean: a.Bool("clean", false), cleanParent: a.Bool("clean_parent", false),
		user: a.Text("user", ""), group: a.Text("group", ""), uid: -1, gid: -1, ifMissing: a.Text("if_missing", ""),
		topLevel: a.Bool("enforce_toplevel", true), perms: a.Bool("extract_perms", true), ownershipOn: a.Text("enforce_ownership_on", ""),
	}
	switch v := a.Get("trim_output").(type) {
	case bool:
		if v {
			x.trim = 100
		}
	default:
		x.trim = a.Int("trim_output", 0)
	}
	if len(x.sources) == 0 {
		a.Wrong("Missing parameter source")
	}
	if res, bad := a.Bad(); bad {
		return nil, res, true
	}
	problem := ""
	var db account.DB
	var ok bool
	switch {
	case !filepath.IsAbs(c.Name):
		problem = c.Name + " is not an absolute path"
	case a.Has("password"):
		problem = "archives with a password are not supported"
	case x.clean && x.cleanParent:
		problem = "Only one of 'clean' and 'clean_parent' can be set to True"
	}
	if info, err := os.Stat(c.Name); err == nil && !info.IsDir() {
		problem = fmt.Sprintf("%s exists and is not a directory", strings.TrimRight(c.Name, "/"))
	}
	if x.user != "" {
		if x.uid, ok = db.UID(ctx, x.user); !ok {
			problem = fmt.Sprintf("User %s does not exist", x.user)
		}
	}
	if x.group != "" {
		if x.gid, ok = db.GID(ctx, x.group); !ok {
			problem = fmt.Sprintf("Group %s does not exist", x.group)
		}
	}
	if problem != "" {
		return nil, args.Failed("%s", problem), true
	}
	return x, res, false
}

// choose settles on the source and its format.
func (x *extracted) choose(ctx context.Context) (state.Result, bool) {
	x.source = x.sources[0]
	if len(x.sources) > 1 {
		x.source = ""
		for _, one := range x.sources {
			if fetch.Exists(ctx, x.c.Host, one) {
				x.source = one
				break
			}
		}
		if x.source == "" {
			return args.Failed("%v", fetch.ErrNone), true
		}
	}
	if fetch.Scheme(x.source) == "file" {
		if info, err := os.Stat(fetch.LocalPath(x.source)); err != nil || !info.Mode().IsRegular() {
			return args.Failed("Source file '%s' does not exist", fetch.LocalPath(x.source)), true
		}
	}
	if x.format == "" {
		path, _, _ := strings.Cut(x.source, "?")
		x.format = guessFormat(path)
	}
	switch x.format {
	case "tar", "zip":
	case "":
		return args.Failed("Could not guess archive_format from the value of the 'source' argument. Please set this archive_format " +
			"to one of the following: tar, rar, zip"), true
	case "rar":
		return args.Failed("archive.unrar function not available, rar/unrar might not be installed on minion"), true
	default:
		return args.Failed("Invalid archive_format '%s'. Either set it to a supported value (tar, rar, zip) or remove this argument and the "+
			"archive format will be guessed based on file extension.", x.format), true
	}
	if x.hash == "" || x.skipVerify {
		return state.Result{}, false
	}
	want, err := fetch.SumOf(ctx, x.c.Host, x.hash, x.source, x.hashName, x.name)
	if err != nil {
		return args.Failed("%v", err), true
	}
	x.want = want
	return state.Result{}, false
}

// open gets the archive, and holds it to its checksum.
func (x *extracted) open(ctx context.Context) (*opened, state.Result, bool) {
	scheme, shown := fetch.Scheme(x.source), fetch.Redacted(x.source)
	if scheme != "salt" && scheme != "file" && !x.want.Given() && !x.skipVerify {
		return nil, args.Failed("Unable to verify upstream hash of source file %s, please set source_hash or set skip_verify to True", shown), true
	}
	blob, err := fetch.Get(ctx, x.c.Host, x.source, x.want)
	if errors.Is(err, fetch.ErrMissing) {
		return nil, args.Failed("Failed to cache %s: it was not found", shown), true
	}
	if err != nil {
		return nil, args.Failed("Failed to cache %s: %v", shown, err), true
	}
	if x.want.Given() && scheme != "salt" {
		if got, err := blob.Sum(x.want); err != nil || got != x.want {
			blob.Close()
			return nil, args.Failed("%s does not match the desired source_hash %s (its %s is %s)", shown, x.want.Hex, x.want.Kind, got.Hex), true
		}
	}
	o := &opened{host: x.c.Host, blob: blob, format: x.format}
	if m := stripOption.FindStringSubmatch(x.options); m != nil && x.format == "tar" {
		o.strip, _ = strconv.Atoi(m[1])
	}
	return o, state.Result{}, false
}

func (x *extracted) apply(ctx context.Context, o *opened) state.Result {
	list, err := o.listed(ctx)
	if err != nil {
		return args.Failed("%v", err)
	}
	if x.topLevel && (len(list.topDirs) > 1 || len(list.topFiles) > 0) {
		return args.Failed("Archive does not have a single top-level directory. To allow this archive to be extracted, set 'enforce_toplevel' to "+
			"False. To avoid a '%s-bomb' it may also be advisable to set a top-level directory by adding it to the 'name' value "+
			"(for example, setting 'name' to %ssome_dir instead of %s).", x.format, x.name, x.name)
	}
	missing, wrong, err := list.check(x.name)
	if err != nil {
		return args.Failed("%v", err)
	}
	x.missing = missing
	changes := data.NewMap()
	needed := x.overwrite || missing
	if len(wrong) > 0 && !x.clean && !x.cleanParent {
		if !x.force {
			return args.Failed("The below paths (relative to %s) exist, but are the incorrect type (file instead of directory, symlink instead of file, "+
				"etc.). To proceed with extraction, set 'force' to True. Note that this will remove these paths before extracting.\n\n- %s",
				x.name, strings.Join(wrong, "\n- "))
		}
	}
	needed = needed || len(wrong) > 0
	switch {
	case needed && x.c.Test:
		comment := fmt.Sprintf("Archive %s would be extracted to %s", fetch.Redacted(x.source), x.name)
		if x.clean {
			comment += ", after cleaning destination path(s)"
		}
		return args.Would(nil, "%s%s", comment, x.why())
	case needed:
		if err := x.clear(list, wrong, changes); err != nil {
			return args.Failed("%v", err)
		}
		if res, failed := x.extract(ctx, o, list, changes); failed {
			return res
		}
	}
	return x.own(list, changes, needed)
}

func (x *extracted) why() string {
	if x.missing {
		return ", due to absence of one or more files/dirs"
	}
	return ""
}

// clear removes what is in the way, or what should be made anew.
func (x *extracted) clear(list *contents, wrong []string, changes *data.Map) error {
	var gone []any
	switch {
	case x.cleanParent:
		if err := os.RemoveAll(strings.TrimRight(x.name, "/")); err != nil {
			return fmt.Errorf("clean %s: %w", x.name, err)
		}
		changes.Set("removed", fmt.Sprintf("Directory %s was removed prior to the extraction", x.name))
		return nil
	case x.clean:
		wrong = append(append([]string{}, list.topDirs...), list.topFiles...)
	}
	for _, one := range wrong {
		full := filepath.Join(x.name, one)
		if _, err := os.Lstat(full); err != nil {
			continue
		}
		if err := os.RemoveAll(full); err != nil {
			return fmt.Errorf("clean %s: %w", x.name, err)
		}
		gone = append(gone, full)
	}
	if len(gone) > 0 {
		changes.Set("removed", gone)
	}
	return nil
}

func (x *extracted) extract(ctx context.Context, o *opened, list *contents, changes *data.Map) (state.Result, bool) {
	dir := strings.TrimRight(x.name, "/")
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(dir, 0o777); err != nil { //nolint:gosec // the umask says
			return args.Failed("%v", err), true
		}
		if x.uid >= 0 {
			if err := os.Chown(dir, x.uid, -1); err != nil {
				return args.Failed("%v", err), true
			}
		}
		x.made = true
		changes.Set("directories_created", []any{x.name})
	}
	names := list.seen
	var err error
	if rest := strings.TrimSpace(stripOption.ReplaceAllString(x.options, "")); rest != "" && x.format == "tar" {
		names, err = x.byTar(ctx, o)
	} else {
		err = o.extract(ctx, dir, x.perms)
	}
	if err != nil {
		if x.made {
			_ = os.RemoveAll(dir)
		}
		return args.Failed("extract %s: %v", fetch.Redacted(x.source), err), true
	}
	if x.trim > 0 {
		names = names[:min(int(x.trim), len(names))]
	}
	files := make([]any, len(names))
	for i, one := range names {
		files[i] = one
	}
	changes.Set("extracted_files", files)
	x.extracted = true
	return state.Result{}, false
}

// byTar lets the host's tar unpack, for options that only it knows. The archive was listed before, so no name leads out.
func (x *extracted) byTar(ctx context.Context, o *opened) ([]string, error) {
	in, err := o.blob.Open()
	if err != nil {
		return nil, err
	}
	defer in.Close()
	plain, done, err := o.decompress(ctx, in)
	if err != nil {
		return nil, err
	}
	defer done()
	words := []string{"-x", "-v"}
	for i, word := range strings.Fields(x.options) {
		switch {
		case word == "v" || word == "-v" || word == "--verbose":
		case i == 0 && !strings.HasPrefix(word, "-"): // old style: xzf and the like; how it is compressed is known
		case strings.HasPrefix(word, "-") && !strings.HasPrefix(word, "--") && len(word) == 2 && strings.Contains("zjJxf", word[1:]):
		default:
			words = append(words, strings.Trim(word, `"'`))
		}
	}
	cmd := tool.On(x.c).Cmd(ctx, "tar", append(words, "-f", "-")...)
	cmd.Dir, cmd.Stdin = strings.TrimRight(x.name, "/"), plain
	out := tool.Finish(cmd)
	if !out.OK() {
		return nil, fmt.Errorf("tar: %s", out.Said())
	}
	return strings.Fields(out.Stdout), nil
}

// own gives what is at the top of the archive, and all below it, the owners asked for.
func (x *extracted) own(list *contents, changes *data.Map, needed bool) state.Result {
	var res state.Result
	switch {
	case x.extracted:
		res = args.Done(changes, "%s extracted to %s%s", fetch.Redacted(x.source), x.name, x.why())
	case needed:
		res = args.Done(changes, "")
	default:
		res = args.Fine("All files in archive are already present")
	}
	if x.uid < 0 && x.gid < 0 {
		return res
	}
	tops := append(append(append([]string{}, list.topDirs...), list.topFiles...), list.topLinks...)
	for i, one := range tops {
		tops[i] = filepath.Join(x.name, one)
	}
	if x.ownershipOn != "" {
		tops = []string{x.ownershipOn}
	}
	owned := false
	for _, top := range tops {
		more, err := x.chown(top)
		if err != nil {
			return args.Failed("%s\n\nWhile trying to enforce user/group ownership: %v", res.Comment, err)
		}
		owned = owned || more
	}
	if !owned {
		return res
	}
	changes.Set("updated ownership", true)
	res.Changes = changes
	if x.c.Test {
		return args.Would(changes, "%s. Ownership would be updated", res.Comment)
	}
	res.Comment += ". Ownership was updated"
	return res
}

// chown tells whether something at or below top has other owners, and gives it the right ones.
func (x *extracted) chown(top string) (changed bool, err error) {
	err = filepath.WalkDir(top, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		uid, gid := idsOf(info)
		if (x.uid < 0 || uid == x.uid) && (x.gid < 0 || gid == x.gid) {
			return nil
		}
		changed = true
		if x.c.Test {
			return nil
		}
		if err := os.Lchown(path, x.uid, x.gid); err != nil || e.Type()&fs.ModeSymlink != 0 {
			return err
		}
		return os.Chmod(path, info.Mode()&(fs.ModePerm|fs.ModeSticky))
	})
	return changed, err
}
