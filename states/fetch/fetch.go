// Package fetch gets the files that states are told of: salt://name, http(s)://, file:// and absolute paths; and their
// checksums.
package fetch

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/brine-deploy/brine/states/state"
)

// ErrNone says that none of several sources is there.
var ErrNone = errors.New("none of the specified sources were found")

// ErrMissing says that a source is not there.
var ErrMissing = errors.New("not found")

// Blob is what a source holds. Close it after use.
type Blob struct {
	Size   int64
	Mode   fs.FileMode // of the source; 0 when it has none (http)
	SHA256 string
	data   []byte // when it is small
	path   string // else
	temp   bool   // path goes with Close
}

// inMemory is up to which size a file from the file server is kept in memory.
const inMemory = 1 << 20

// maxRemote bounds what is fetched from elsewhere.
const maxRemote = 64 << 30

// FromText makes a Blob of a text.
func FromText(text string) *Blob {
	sum := sha256.Sum256([]byte(text))
	return &Blob{Size: int64(len(text)), data: []byte(text), SHA256: hex.EncodeToString(sum[:])}
}

// Open reads it from its beginning.
func (b *Blob) Open() (io.ReadCloser, error) {
	if b.path == "" {
		return io.NopCloser(bytes.NewReader(b.data)), nil
	}
	in, err := os.Open(b.path)
	if err != nil {
		return nil, fmt.Errorf("open fetched file: %w", err)
	}
	return in, nil
}

// Bytes is all of it, if it is not over limit.
func (b *Blob) Bytes(limit int64) ([]byte, error) {
	if b.path == "" {
		return b.data, nil
	}
	if b.Size > limit {
		return nil, fmt.Errorf("file of %d bytes is over the limit of %d", b.Size, limit)
	}
	text, err := os.ReadFile(b.path)
	if err != nil {
		return nil, fmt.Errorf("read fetched file: %w", err)
	}
	return text, nil
}

// Close removes what was only fetched for a while.
func (b *Blob) Close() {
	if b != nil && b.temp {
		_ = os.Remove(b.path)
	}
}

// Sum is its checksum of the kind wanted.
func (b *Blob) Sum(want Sum) (Sum, error) {
	if want.Kind == "sha256" {
		return Sum{Kind: want.Kind, Hex: b.SHA256}, nil
	}
	in, err := b.Open()
	if err != nil {
		return Sum{}, err
	}
	defer in.Close()
	return want.Of(in)
}

// Scheme is the scheme of a source: "salt", "http", ...; "file" for paths.
func Scheme(source string) string {
	scheme, _, ok := strings.Cut(source, "://")
	if !ok {
		return "file"
	}
	return strings.ToLower(scheme)
}

// SaltName splits salt://NAME?saltenv=ENV; the saltenv is the host's when it names none.
func SaltName(h *state.Host, source string) (saltenv, name string) {
	name = strings.TrimPrefix(source, "salt://")
	name, query, _ := strings.Cut(name, "?")
	saltenv = h.Saltenv
	if values, err := url.ParseQuery(query); err == nil && values.Get("saltenv") != "" {
		saltenv = values.Get("saltenv")
	}
	if saltenv == "" {
		saltenv = "base"
	}
	return saltenv, strings.Trim(strings.TrimPrefix(name, "|"), "/")
}

// LocalPath is the path of a local source.
func LocalPath(source string) string { return strings.TrimPrefix(source, "file://") }

// Exists reports whether a source is there. A remote one is asked for its head.
func Exists(ctx context.Context, h *state.Host, source string) bool {
	switch Scheme(source) {
	case "salt":
		if h.Files == nil {
			return false
		}
		saltenv, name := SaltName(h, source)
		in, _, err := h.Files.Open(ctx, saltenv, name)
		if err == nil {
			in.Close()
			return true
		}
		below, err := h.Files.List(ctx, saltenv, name)
		return err == nil && len(below) > 0
	case "file":
		_, err := os.Stat(LocalPath(source))
		return err == nil
	case "http", "https":
		res, err := ask(ctx, http.MethodHead, source)
		if err != nil {
			return false
		}
		res.Body.Close()
		return res.StatusCode < 300
	default:
		return false
	}
}

// Get gets a source. A remote one that was fetched before and has the wanted checksum is not fetched again. The checksum
// is not checked otherwise.
func Get(ctx context.Context, h *state.Host, source string, want Sum) (*Blob, error) {
	switch Scheme(source) {
	case "salt":
		return fromServer(ctx, h, source)
	case "file":
		return fromDisk(LocalPath(source))
	case "http", "https":
		return fromWeb(ctx, h, source, want)
	default:
		return nil, fmt.Errorf("source %s: only salt, http, https, file and absolute paths are known", Redacted(source))
	}
}

// Redacted is a source without the password in it.
func Redacted(source string) string {
	u, err := url.Parse(source)
	if err != nil || u.User == nil {
		return source
	}
	return u.Redacted()
}

func fromServer(ctx context.Context, h *state.Host, source string) (*Blob, error) {
	saltenv, name := SaltName(h, source)
	if h.Files == nil {
		return nil, fmt.Errorf("%s: %w: there is no file server", source, ErrMissing)
	}
	in, info, err := h.Files.Open(ctx, saltenv, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("Source file %s %w in saltenv '%s'", source, ErrMissing, saltenv) //nolint:staticcheck // Salt's words
	}
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", source, err)
	}
	defer in.Close()
	blob, err := keep(h, in)
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", source, err)
	}
	blob.Mode = info.Mode()
	return blob, nil
}

// keep holds what r gives: in memory while it is small, else in a file.
func keep(h *state.Host, r io.Reader) (*Blob, error) {
	start, err := io.ReadAll(io.LimitReader(r, inMemory))
	if err != nil {
		return nil, err
	}
	if len(start) < inMemory {
		return FromText(string(start)), nil
	}
	dir := ""
	if h.Cache != "" && os.MkdirAll(h.Cache, 0o700) == nil {
		dir = h.Cache
	}
	out, err := os.CreateTemp(dir, "fetch-*")
	if err != nil {
		return nil, fmt.Errorf("make room for a file: %w", err)
	}
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(out, sum), io.LimitReader(io.MultiReader(bytes.NewReader(start), r), maxRemote))
	if failed := out.Close(); err == nil {
		err = failed
	}
	if err != nil {
		_ = os.Remove(out.Name())
		return nil, fmt.Errorf("keep a file: %w", err)
	}
	return &Blob{Size: n, SHA256: hex.EncodeToString(sum.Sum(nil)), path: out.Name(), temp: true}, nil
}

func fromDisk(name string) (*Blob, error) {
	in, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("Source file %s %w", name, ErrMissing) //nolint:staticcheck // Salt's words
	}
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", name, err)
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", name, err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("get %s: it is no regular file", name)
	}
	sum, err := Sum{Kind: "sha256"}.Of(in)
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", name, err)
	}
	return &Blob{Size: info.Size(), Mode: info.Mode(), SHA256: sum.Hex, path: name}, nil
}

// patience is how long a remote server may take to begin its answer.
const patience = 60 * time.Second

func ask(ctx context.Context, method, source string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, source, nil)
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", Redacted(source), err)
	}
	if user := req.URL.User; user != nil {
		password, _ := user.Password()
		req.SetBasicAuth(user.Username(), password)
		req.URL.User = nil
	}
	client := &http.Client{Transport: &http.Transport{
		Proxy: http.ProxyFromEnvironment, ResponseHeaderTimeout: patience, DisableKeepAlives: true,
	}}
	res, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", Redacted(source), err)
	}
	return res, nil
}

// fromWeb gets a remote file through a cache beside the minion's other ones.
func fromWeb(ctx context.Context, h *state.Host, source string, want Sum) (*Blob, error) {
	name := sha256.Sum256([]byte(source))
	cached := filepath.Join(h.Cache, "extrn_files", hex.EncodeToString(name[:]))
	if want.Given() && h.Cache != "" {
		if blob, err := fromDisk(cached); err == nil {
			if sum, err := blob.Sum(want); err == nil && sum == want {
				blob.Mode = 0
				return blob, nil
			}
		}
	}
	res, err := ask(ctx, http.MethodGet, source)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode >= 300 {
		return nil, fmt.Errorf("Failed to cache %s: HTTP %s: %w", Redacted(source), res.Status, ErrMissing) //nolint:staticcheck // Salt's words
	}
	blob, err := keep(h, res.Body)
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", Redacted(source), err)
	}
	if sum, err := blob.Sum(want); want.Given() && h.Cache != "" && err == nil && sum == want {
		blob.cache(cached)
	}
	return blob, nil
}

// cache keeps a fetched file for the next time; without room for it, the next time fetches again.
func (b *Blob) cache(name string) {
	if os.MkdirAll(filepath.Dir(name), 0o700) != nil {
		return
	}
	if b.path != "" {
		if os.Rename(b.path, name) == nil {
			b.path, b.temp = name, false
		}
		return
	}
	temp := name + ".new"
	if os.WriteFile(temp, b.data, 0o600) == nil {
		_ = os.Rename(temp, name)
	}
}

// Save writes it to a new file.
func (b *Blob) Save(name string) error {
	in, err := b.Open()
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644) //nolint:gosec // others may have to read it: apt's own user
	if err != nil {
		return fmt.Errorf("save %s: %w", name, err)
	}
	_, err = io.Copy(out, in)
	if failed := out.Close(); err == nil {
		err = failed
	}
	if err != nil {
		return fmt.Errorf("save %s: %w", name, err)
	}
	return nil
}
