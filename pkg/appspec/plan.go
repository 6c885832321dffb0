package appspec

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
)

// Host is what a plan has to know of the machine. All paths are absolute and clean. Errors other than fs.ErrNotExist count
// as such.
type Host interface {
	Lstat(name string) (fs.FileInfo, error)
	Stat(name string) (fs.FileInfo, error)
	Names(dir string) ([]string, error)
	Real(name string) string // without symbolic links; name itself when that fails
}

// Owned is one file or directory that an earlier install made and that the next one takes away or replaces.
type Owned struct {
	Path string `json:"path"` // as Step.Real
	Dir  bool   `json:"dir,omitempty"`
}

// Plan is what an install does, in this order: Remove, Steps, Settings.
type Plan struct {
	Remove   []Owned // what earlier installs left; directories only when they are empty by then
	Steps    []Step
	Settings []Setting
}

// Step makes one file, link or directory.
type Step struct {
	Do     Action
	Path   string // absolute, as the appspec has it
	Real   string // the same place; no directory above it is a symbolic link
	Source string // of Copy and Link: slash-separated, relative to the revision's root
	Kept   bool   // of Mkdir: the directory is there, made by an earlier install; it is to be as if it were new
}

// Action is what a Step does.
type Action string

// What a Step does. Copy and Link replace whatever file is there, in one step and not through links.
const (
	Mkdir Action = "mkdir"
	Copy  Action = "copy"
	Link  Action = "link" // the symbolic link itself, with the same text
)

// Setting gives one path its permissions.
type Setting struct {
	Path  string
	Real  string // as that of a Step
	Dir   bool
	Entry *Permission
}

// ErrConflict is in the chain of every error of NewPlan that another appspec, revision or host would not give.
var ErrConflict = errors.New("conflict")

type conflict struct{ text string }

func (c *conflict) Error() string        { return c.text }
func (c *conflict) Is(target error) bool { return target == ErrConflict }

func conflictf(format string, args ...any) error { return &conflict{fmt.Sprintf(format, args...)} }

// NewPlan decides what an install of the revision in tree does, and refuses what cannot be done: two sources for one file,
// files that are in the way, contradictory permissions. It changes nothing. tree has to be an fs.ReadLinkFS that does not
// lead out of the revision. owned is what earlier installs left. A source that is not there is no conflict: its step fails.
func NewPlan(s *Spec, tree fs.FS, host Host, owned []Owned, exists Exists) (*Plan, error) {
	b := &planner{tree: tree, view: newView(host, owned), exists: exists, plan: &Plan{}, copies: map[string]string{}, dirs: map[string]bool{}}
	for _, f := range s.Files {
		if err := b.file(f); err != nil {
			return nil, fmt.Errorf("%s: %w", f.Pos, err)
		}
	}
	for i := range s.Permissions {
		if err := b.permission(&s.Permissions[i]); err != nil {
			return nil, fmt.Errorf("%s: %w", s.Permissions[i].Pos, err)
		}
	}
	b.removals(owned)
	return b.plan, nil
}

type planner struct {
	tree   fs.FS
	view   *view
	exists Exists
	plan   *Plan
	copies map[string]string // destination -> source
	order  []string          // the destinations of copies
	dirs   map[string]bool   // made
	made   []string          // the same in order
	set    map[string]bool   // has its permissions
}

func (b *planner) file(f File) error {
	info, err := fs.Stat(b.tree, f.Source)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if info, err := fs.Lstat(b.tree, f.Source); err == nil { // a link that leads nowhere
			return b.single(f, info.Mode())
		}
		return b.single(f, 0)
	case err != nil:
		if info, err := fs.Lstat(b.tree, f.Source); err == nil && info.Mode().Type() == fs.ModeSymlink {
			return b.single(f, info.Mode())
		}
		return fmt.Errorf("look at source %s: %w", f.Source, err)
	case info.IsDir():
		if err := b.ancestors(f.Destination); err != nil {
			return err
		}
		return b.directory(f.Source, f.Destination)
	}
	info, err = fs.Lstat(b.tree, f.Source)
	if err != nil {
		return fmt.Errorf("look at source %s: %w", f.Source, err)
	}
	return b.single(f, info.Mode())
}

func (b *planner) single(f File, mode fs.FileMode) error {
	destination := path.Join(f.Destination, path.Base(f.Source))
	if err := b.ancestors(destination); err != nil {
		return err
	}
	return b.copy(f.Source, destination, mode)
}

// ancestors makes the directories above name that are missing. They belong to the deployment.
func (b *planner) ancestors(name string) error {
	var missing []string
	for dir := path.Dir(name); b.view.at(dir) == nothing && dir != "/"; dir = path.Dir(dir) {
		missing = append(missing, dir)
	}
	for _, dir := range slices.Backward(missing) {
		if err := b.mkdir(dir); err != nil {
			return err
		}
	}
	return nil
}

func (b *planner) mkdir(dir string) error {
	if source, there := b.copies[dir]; there {
		return conflictf("the application specification file includes an mkdir command more than once for the same destination path (%s) from (%s)", dir, source)
	}
	if b.dirs[dir] {
		return nil
	}
	if at := b.view.at(dir); at != nothing {
		return conflictf("the directory %s cannot be made: File exists: a file already exists at this location: %s", dir, dir)
	}
	if parent := path.Dir(dir); b.view.at(parent) == something {
		return conflictf("the directory %s cannot be made: File exists: %s is no directory", dir, parent)
	}
	b.dirs[dir] = true
	b.made = append(b.made, dir)
	b.plan.Steps = append(b.plan.Steps, Step{Do: Mkdir, Path: dir, Real: b.view.key(dir), Kept: b.view.emptied(dir)})
	return nil
}

// directory copies what is in a directory. Links in it stay links, whatever they point at.
func (b *planner) directory(source, destination string) error {
	if b.view.at(destination) != directory {
		if err := b.mkdir(destination); err != nil {
			return err
		}
	}
	entries, err := fs.ReadDir(b.tree, source)
	if err != nil {
		return fmt.Errorf("list source %s: %w", source, err)
	}
	for _, e := range entries {
		from, to := path.Join(source, e.Name()), path.Join(destination, e.Name())
		if e.IsDir() {
			err = b.directory(from, to)
		} else {
			err = b.copy(from, to, e.Type())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (b *planner) copy(source, destination string, mode fs.FileMode) error {
	do := Copy
	switch mode.Type() {
	case 0:
	case fs.ModeSymlink:
		do = Link
	default:
		return conflictf("the source %s is neither a file nor a directory nor a link", source)
	}
	if at := b.view.at(destination); at != nothing {
		switch {
		case b.exists == Retain:
			return nil
		case b.exists != Overwrite:
			return conflictf("a specified file already exists at this location: %s", destination)
		case at == directory:
			return conflictf("a directory already exists at this location and cannot be overwritten with a file: %s", destination)
		}
	}
	if other, there := b.copies[destination]; there {
		return conflictf("the application specification file specifies two source files named %s and %s for the same destination (%s)", source, other, destination)
	}
	if b.dirs[destination] {
		return conflictf("the application specification file calls for installing the file %s, but a file with that name already exists at the location (%s)", source, destination)
	}
	if parent := path.Dir(destination); b.view.at(parent) == something {
		return conflictf("the file %s cannot be made: File exists: %s is no directory", destination, parent)
	}
	b.copies[destination] = source
	b.order = append(b.order, destination)
	b.plan.Steps = append(b.plan.Steps, Step{Do: do, Path: destination, Real: b.view.key(destination), Source: source})
	return nil
}

// removals lists what earlier installs left and this one does not replace, the last made first.
func (b *planner) removals(owned []Owned) {
	files, dirs := map[string]bool{}, map[string]bool{}
	for name := range b.copies {
		files[b.view.key(name)] = true
	}
	for name := range b.dirs {
		dirs[b.view.key(name)] = true
	}
	for _, o := range slices.Backward(owned) {
		if o.Dir && !dirs[o.Path] || !o.Dir && !files[o.Path] {
			b.plan.Remove = append(b.plan.Remove, o)
		}
	}
}
