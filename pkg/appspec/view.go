package appspec

import (
	"io/fs"
	"path"
)

// place is what is at a path once the earlier install is gone.
type place int

const (
	nothing   place = iota
	something       // a file, or a link that leads to none
	directory       // or a link to one
)

// view sees the host as it is once what earlier installs made is gone: files and links of theirs, and directories of
// theirs that are empty then.
type view struct {
	host  Host
	owned map[string]bool // key -> it is a directory
	empty map[string]bool // key of an owned directory -> it is empty then
	seen  map[string]place
	real  map[string]string
}

func newView(host Host, owned []Owned) *view {
	v := &view{host: host, owned: map[string]bool{}, empty: map[string]bool{}, seen: map[string]place{}, real: map[string]string{}}
	for _, o := range owned {
		v.owned[o.Path] = o.Dir
	}
	return v
}

// key is the one name of a path, whatever links lead to its directory. A link that is on its way out leads nowhere.
func (v *view) key(name string) string { return path.Join(v.realDir(path.Dir(name)), path.Base(name)) }

func (v *view) realDir(dir string) string {
	if dir == "/" {
		return dir
	}
	if real, known := v.real[dir]; known {
		return real
	}
	real := path.Join(v.realDir(path.Dir(dir)), path.Base(dir))
	if _, ours := v.owned[real]; !ours {
		if info, err := v.host.Lstat(real); err == nil && info.Mode().Type() == fs.ModeSymlink {
			real = v.host.Real(real)
		}
	}
	v.real[dir] = real
	return real
}

func (v *view) at(name string) place {
	if name == "/" {
		return directory
	}
	if p, known := v.seen[name]; known {
		return p
	}
	p := v.look(name)
	v.seen[name] = p
	return p
}

func (v *view) look(name string) place {
	if v.at(path.Dir(name)) != directory {
		return nothing
	}
	if _, err := v.host.Lstat(name); err != nil {
		return nothing
	}
	isDir, ours := v.owned[v.key(name)]
	if ours && !isDir || v.emptied(name) {
		return nothing
	}
	if info, err := v.host.Stat(name); err == nil && info.IsDir() {
		return directory
	}
	return something
}

// emptied reports whether name is a directory of an earlier install in which nothing foreign is.
func (v *view) emptied(name string) bool {
	key := v.key(name)
	if isDir, ours := v.owned[key]; !ours || !isDir {
		return false
	}
	if empty, known := v.empty[key]; known {
		return empty
	}
	v.empty[key] = v.allOurs(name)
	return v.empty[key]
}

func (v *view) allOurs(dir string) bool {
	info, err := v.host.Lstat(dir)
	if err != nil || !info.IsDir() {
		return false
	}
	names, err := v.host.Names(dir)
	if err != nil {
		return false
	}
	for _, name := range names {
		child := path.Join(dir, name)
		isDir, ours := v.owned[v.key(child)]
		if !ours || isDir && !v.emptied(child) || !isDir && v.isDir(child) {
			return false
		}
	}
	return true
}

func (v *view) isDir(name string) bool {
	info, err := v.host.Lstat(name)
	return err == nil && info.IsDir()
}
