package runner

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"syscall"
)

var errNotDir error = syscall.ENOTDIR

// planner finds out what has to change in a root for it to be equal to a tree. It changes nothing.
type planner struct {
	copying
	root, tree *os.Root
	old        *os.Root // tree of the release that is live; may be nil
	wanted     map[string]fs.FileMode
	fresh      map[string]bool // directories that are not there yet
	steps      []step
	device     uint64
}

// plan gives the steps in their order: what is new from the top down, then what goes.
func (p *planner) plan() ([]step, error) {
	top, err := p.root.Stat(".")
	if err != nil {
		return nil, err
	}
	p.device = deviceOf(top)
	err = fs.WalkDir(p.tree.FS(), ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		if p.exclude.Match(name, e.IsDir()) {
			if e.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		p.wanted[name] = e.Type()
		return p.want(name, e)
	})
	if err != nil {
		return nil, fmt.Errorf("compare with the archive: %w", err)
	}
	if err := p.scan("."); err != nil {
		return nil, fmt.Errorf("compare with the archive: %w", err)
	}
	return p.steps, nil
}

// want adds the step for one entry of the tree, unless the root has it.
func (p *planner) want(name string, e fs.DirEntry) error {
	var now fs.FileInfo
	if !p.fresh[path.Dir(name)] {
		info, err := p.root.Lstat(name)
		if err != nil && !missing(err) {
			return err
		}
		now = info
	}
	if now != nil {
		same, err := p.same(name, e, now)
		if err != nil || same {
			return err
		}
		if err := p.mayGo(name, now); err != nil {
			return err
		}
	}
	kind := putFile
	if e.IsDir() {
		kind = makeDir
		p.fresh[name] = true
	}
	p.steps = append(p.steps, step{kind, name, now != nil})
	return nil
}

// same compares an entry with what the root has in its place. Of modes only the executable bits count, which are all that
// an archive knows.
func (p *planner) same(name string, e fs.DirEntry, now fs.FileInfo) (bool, error) {
	if e.IsDir() && now.IsDir() && deviceOf(now) != p.device {
		return false, fmt.Errorf("%s is another file system: exclude it", name)
	}
	if e.Type() != now.Mode().Type() {
		return false, nil
	}
	switch {
	case e.IsDir():
		return true, nil
	case e.Type() == fs.ModeSymlink:
		a, err := p.tree.Readlink(name)
		b, err2 := p.root.Readlink(name)
		return a == b, errors.Join(err, err2)
	}
	info, err := e.Info()
	if err != nil || info.Size() != now.Size() || info.Mode()&0o100 != now.Mode()&0o100 {
		return false, err
	}
	return sameContent(p.tree, p.root, name)
}

func sameContent(a, b *os.Root, name string) (bool, error) {
	x, err := a.Open(name)
	if err != nil {
		return false, err
	}
	defer x.Close()
	y, err := b.Open(name)
	if err != nil {
		return false, err
	}
	defer y.Close()
	one, two := make([]byte, 64<<10), make([]byte, 64<<10)
	for {
		n, err := io.ReadFull(x, one)
		m, err2 := io.ReadFull(y, two)
		switch {
		case !bytes.Equal(one[:n], two[:m]):
			return false, nil
		case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
			return true, nil
		case err != nil || err2 != nil:
			return false, errors.Join(err, err2)
		}
	}
}

// mayGo refuses to put a file into the place of a directory that holds something excluded.
func (p *planner) mayGo(name string, now fs.FileInfo) error {
	if !now.IsDir() {
		return nil
	}
	all := *p
	all.delete, all.steps = true, nil
	gone, err := all.goes(name, now)
	if err == nil && !gone {
		err = fmt.Errorf("%s is a directory and no directory in the archive, and it holds what is excluded: move it away", name)
	}
	return err
}

// scan looks for what the archive does not have.
func (p *planner) scan(dir string) error {
	entries, err := p.list(dir)
	if err != nil {
		return err
	}
	for _, info := range entries {
		name := path.Join(dir, info.Name())
		kind, wanted := p.wanted[name]
		switch {
		case name == privateDir:
		case !wanted:
			_, err = p.goes(name, info)
		case kind.IsDir() && info.IsDir():
			err = p.scan(name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// goes adds the steps that remove what is at name, as far as it goes, and reports whether all of it does.
func (p *planner) goes(name string, info fs.FileInfo) (bool, error) {
	switch {
	case p.exclude.Excludes(name, info.IsDir()), deviceOf(info) != p.device:
		return false, nil
	case !p.delete && !p.brought(name):
		return false, nil // a directory that nobody brought has nothing in it that somebody did
	case !info.IsDir():
		p.steps = append(p.steps, step{remove, name, true})
		return true, nil
	}
	before := len(p.steps)
	all, err := p.allGo(name)
	if err == nil && all {
		p.steps = append(p.steps[:before], step{remove, name, true})
	}
	return all, err
}

func (p *planner) allGo(dir string) (bool, error) {
	entries, err := p.list(dir)
	if err != nil {
		return false, err
	}
	all := true
	for _, info := range entries {
		gone, err := p.goes(path.Join(dir, info.Name()), info)
		if err != nil {
			return false, err
		}
		all = all && gone
	}
	return all, nil
}

// brought reports whether the live release has the name.
func (p *planner) brought(name string) bool {
	if p.old == nil {
		return false
	}
	_, err := p.old.Lstat(name)
	return err == nil
}

// list gives a directory's entries by name.
func (p *planner) list(dir string) ([]fs.FileInfo, error) {
	entries, err := fs.ReadDir(p.root.FS(), dir)
	if err != nil {
		return nil, err
	}
	out := make([]fs.FileInfo, 0, len(entries))
	for _, e := range entries {
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // gone in this moment
		} else if err != nil {
			return nil, err
		}
		out = append(out, info)
	}
	return out, nil
}

func deviceOf(info fs.FileInfo) uint64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Dev
	}
	return 0
}
