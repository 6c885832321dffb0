package appspec

import (
	"path"
	"path/filepath"
	"strings"

	"github.com/brine-deploy/brine/pkg/yaml"
)

// File is one entry of the section files.
type File struct {
	Source      string // slash-separated, clean, relative to the revision's root and inside it; "." for the whole of it
	Destination string // clean, absolute: the directory that gets the file, or what is in the directory
	Pos         yaml.Pos
}

// Exists says what becomes of a file on the host that is in the way of one to install.
type Exists string

// What can become of it.
const (
	Disallow  Exists = "DISALLOW"  // nothing is installed
	Overwrite Exists = "OVERWRITE" // it is replaced, and belongs to the deployment from then on
	Retain    Exists = "RETAIN"    // it stays as it is
)

// Valid reports whether e is one of those three.
func (e Exists) Valid() bool { return e == Disallow || e == Overwrite || e == Retain }

func (p *parser) files(doc *yaml.Node) {
	for _, n := range p.list(doc, "files") {
		if p.mapping(n, "an entry of files") {
			p.file(n)
		}
	}
	n := doc.Get("file_exists_behavior")
	p.spec.Exists = Exists(p.raw(doc, "file_exists_behavior"))
	if n.Kind() == yaml.Scalar && !p.spec.Exists.Valid() {
		p.fail(n, "invalid file_exists_behavior value (%s): it must be DISALLOW, OVERWRITE or RETAIN", n.Text())
	}
}

func (p *parser) file(n *yaml.Node) {
	source, destination := n.Get("source"), n.Get("destination")
	from, to := p.raw(n, "source"), p.raw(n, "destination")
	if source.Kind() == yaml.Null {
		p.fail(n, "the entry of files specifies a destination file, but no source file (%s)", to)
		return
	}
	if destination.Kind() == yaml.Null {
		p.fail(n, "the entry of files specifies only a source file (%s): add its destination", from)
		return
	}
	f := File{Source: path.Clean(strings.TrimLeft(from, "/")), Destination: path.Clean(to), Pos: n.Pos()}
	if from == "" {
		f.Source = "."
	}
	if !filepath.IsLocal(f.Source) || strings.ContainsRune(f.Source, 0) {
		p.fail(source, "the source %q leads outside of the revision (..)", from)
	}
	if !path.IsAbs(to) || strings.ContainsRune(to, 0) {
		p.fail(destination, "the destination %q is relative: it must be an absolute path", to)
	}
	p.spec.Files = append(p.spec.Files, f)
}
