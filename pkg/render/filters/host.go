package filters

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"

	"github.com/brine-deploy/brine/pkg/render/jinja"
	"github.com/brine-deploy/brine/pkg/render/jinja/py"
)

// host are the filters that look at the machine that renders. They read only.
func host() table {
	all := table{
		"which": filter("exe", func(_ *jinja.Call, b py.Bound) any {
			path, err := exec.LookPath(py.MustText(b[0]))
			if err != nil {
				return nil
			}
			return path
		}),
		"get_uid": filter("user", func(_ *jinja.Call, b py.Bound) any {
			u, err := user.Lookup(py.MustText(b[0]))
			if err != nil {
				return nil
			}
			n, err := strconv.ParseInt(u.Uid, 10, 64)
			must(err)
			return n
		}),
		"is_empty": filter("filename", func(_ *jinja.Call, b py.Bound) any {
			info, err := os.Stat(py.MustText(b[0]))
			return err == nil && info.Size() == 0
		}),
		"is_text_file":   filter("fp_", func(_ *jinja.Call, b py.Bound) any { return isText(py.MustText(b[0]), true) }),
		"is_binary_file": filter("path", func(_ *jinja.Call, b py.Bound) any { return isText(py.MustText(b[0]), false) }),
		"file_hashsum": filter("path form? chunk_size?", func(c *jinja.Call, b py.Bound) any {
			form := b.Text(1, "sha256")
			h := hasher(form)
			if h == nil {
				py.Raise("ValueError", "Invalid hash type: %s", form)
			}
			f, err := os.Open(py.MustText(b[0]))
			must(err)
			defer f.Close()
			for { // in parts, so that a large file is counted while it is read
				n, err := io.CopyN(h, f, 1<<20)
				c.Step(1 + int(n>>4))
				if errors.Is(err, io.EOF) {
					return hex.EncodeToString(h.Sum(nil))
				}
				must(err)
			}
		}),
		"list_files": filter("directory", func(c *jinja.Call, b py.Bound) any {
			out := &py.List{}
			_ = filepath.WalkDir(py.MustText(b[0]), func(path string, _ fs.DirEntry, err error) error {
				c.Alloc(32 + len(path))
				if err == nil {
					out.Items = append(out.Items, path)
				}
				return nil
			})
			return out
		}),
	}
	all["is_empty_file"], all["is_bin_file"] = all["is_empty"], all["is_binary_file"]
	return all
}

// isText reads the beginning of a file as Salt does: text has no zero bytes and few that are no characters.
func isText(name string, want bool) bool {
	f, err := os.Open(name)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, 2048)
	n, err := io.ReadFull(f, head)
	if err != nil && n == 0 && !errors.Is(err, io.EOF) {
		return false
	}
	head = head[:n]
	odd := bytes.IndexFunc(head, func(r rune) bool { return r == 0 || r == 0xfffd }) >= 0
	return odd != want
}
