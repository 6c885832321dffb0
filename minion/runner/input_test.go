package runner

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/brine-deploy/brine/pkg/fleet"
)

const spec = "version: 0.0\nos: linux\nhooks:\n  "

func TestBadInputStopsNothing(t *testing.T) {
	h := newHost(t)
	v1 := app("v1", nil)
	h.mustRelease(h.order(v1))
	h.traces()
	with := func(name, content string) fleet.ReleaseOrder { return h.order(app("v2", tree{name: content})) }
	but := func(change func(*fleet.ReleaseOrder)) fleet.ReleaseOrder {
		o := h.order(app("v2", nil))
		change(&o)
		return o
	}
	number := 0
	stored := func(change func([]byte) []byte) fleet.ReleaseOrder {
		number++
		o := h.order(app("v2 "+strconv.Itoa(number), nil))
		name := "/" + string(o.Revision.Digest)
		h.put(name, change(h.stored(name)))
		return o
	}
	for name, c := range map[string]struct {
		order fleet.ReleaseOrder
		want  string
	}{
		"unknown event":      {with("appspec.yml", spec+"AfterInstal: []\n"), "appspec.yml:4:3: the file contains unknown lifecycle events"},
		"bad timeout":        {with("appspec.yml", spec+"AfterInstall: [{location: version, timeout: 5m}]\n"), "appspec.yml:4:47: invalid timeout"},
		"missing script":     {with("appspec.yml", spec+"AfterInstall:\n    - location: s/nope.sh\n"), "appspec.yml:5:7: Script does not exist at specified location: s/nope.sh"},
		"script a directory": {with("appspec.yml", spec+"AfterInstall:\n    - location: hooks\n"), "script hooks is not a file"},
		"unknown user":       {with("appspec.yml", spec+"AfterInstall:\n    - {location: version, runas: nosuchuser}\n"), `appspec.yml:5:7: runas: no user "nosuchuser"`},
		"CR LF":              {with(hook(fleet.AfterInstall), "#!/bin/sh\r\ntrue\r\n"), "ends in CR LF"},
		"two of one":         {with("hooks/production/AfterInstall", "#!/bin/sh\n"), "keep one of them"},
		"shared in a file":   {but(func(o *fleet.ReleaseOrder) { o.Shared = []string{"version/x"} }), "goes through version"},
		"layout":             {but(func(o *fleet.ReleaseOrder) { o.Layout = "copies" }), `unknown layout "copies"; known: releases, copy`},
		"root":               {but(func(o *fleet.ReleaseOrder) { o.Root = "srv/shop" }), "not a clean absolute path"},
		"shared outside":     {but(func(o *fleet.ReleaseOrder) { o.Shared = []string{"../x"} }), `shared path "../x"`},
		"shared overlap":     {but(func(o *fleet.ReleaseOrder) { o.Shared = []string{"a/", "a/b"} }), "overlap"},
		"hooks outside":      {but(func(o *fleet.ReleaseOrder) { o.Hooks = "../hooks" }), "not a directory inside"},
		"group":              {but(func(o *fleet.ReleaseOrder) { o.Group = "../x" }), "invalid group name"},
		"group's user":       {but(func(o *fleet.ReleaseOrder) { o.RunAs = "nosuchuser" }), `no user "nosuchuser"`},
		"variable":           {but(func(o *fleet.ReleaseOrder) { o.Env["A=B"] = "x" }), "invalid environment variable"},
		"identity":           {but(func(o *fleet.ReleaseOrder) { o.Identity = "AGE-SECRET-KEY-1x" }), "not an age identity"},
		"scheme":             {but(func(o *fleet.ReleaseOrder) { o.URL = "ftp://x/?signature=secret" }), "not one of http"},
		"not stored":         {but(func(o *fleet.ReleaseOrder) { o.URL, o.Force = h.url+"/gone?signature=secret", true }), "404 Not Found: it is not in the store"},
		"nobody there":       {but(func(o *fleet.ReleaseOrder) { o.URL, o.Force = "http://127.0.0.1:1/?signature=secret", true }), "given up after 8 tries at byte 0"},
		"truncated":          {stored(func(b []byte) []byte { return b[:len(b)-40] }), "archive"},
		"altered": {stored(func(b []byte) []byte {
			b = slices.Clone(b)
			b[len(b)-5] ^= 1
			return b
		}), "archive"},
		"another's": {stored(func([]byte) []byte {
			return h.stored("/" + string(h.order(v1).Revision.Digest))
		}), "another digest"},
		"leads out":    {h.tarOf(&tar.Header{Name: "../../evil", Typeflag: tar.TypeReg, Mode: 0o644}), "evil"},
		"absolute":     {h.tarOf(&tar.Header{Name: "/evil", Typeflag: tar.TypeReg, Mode: 0o644}), "evil"},
		"link out":     {h.tarOf(&tar.Header{Name: "evil", Linkname: "../../..", Typeflag: tar.TypeSymlink}), "evil"},
		"device":       {h.tarOf(&tar.Header{Name: "evil", Typeflag: tar.TypeChar, Mode: 0o644}), "evil"},
		"no such link": {with("appspec.yml", spec+"AfterInstall: [{location: ../../../bin/sh}]\n"), "does not name a file inside"},
	} {
		t.Run(name, func(t *testing.T) {
			h.t = t
			res, err := h.release(c.order)
			wantError(t, err, c.want)
			h.wantLive(v1)
			if !res.Serving && name != "root" || res.Reverted {
				t.Errorf("result %+v", res)
			}
			if len(h.names("releases")) != 1 {
				t.Errorf("releases %v", h.names("releases"))
			}
		})
	}
	h.t = t
	if got := h.traces(); !slices.Equal(got, []string{""}) {
		t.Errorf("scripts ran: %v", got)
	}
}

// tarOf orders an archive that no packer of ours would make.
func (h *host) tarOf(header *tar.Header) fleet.ReleaseOrder {
	h.t.Helper()
	var plain bytes.Buffer
	z, err := zstd.NewWriter(&plain)
	must(h.t, err)
	w := tar.NewWriter(z)
	must(h.t, w.WriteHeader(header))
	must(h.t, w.Close())
	must(h.t, z.Close())
	sum := sha256.Sum256(plain.Bytes())
	return h.orderOf(plain.Bytes(), fleet.Digest(hex.EncodeToString(sum[:])), "evil")
}

func TestACutDownloadGoesOnWhereItWas(t *testing.T) {
	random := make([]byte, 300_000) // so that it stays big when packed
	_, _ = rand.NewChaCha8([32]byte{}).Read(random)
	h := newHost(t)
	order := h.order(app("v1", tree{"random": string(random)}))
	data := h.stored("/" + string(order.Revision.Digest))
	chunk := len(data)/5 + 1
	var ranges []string
	cut := func(w http.ResponseWriter, r *http.Request, from int, status int) {
		ranges = append(ranges, r.Header.Get("Range"))
		if len(ranges) == 3 { // a server in trouble is another kind of cut
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("ETag", `"one"`)
		w.Header().Set("Content-Length", strconv.Itoa(len(data)-from))
		w.WriteHeader(status)
		to := min(len(data), len(ranges)*chunk)
		_, _ = w.Write(data[min(from, to):to])
		if to < len(data) {
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}
	}
	for name, serve := range map[string]http.HandlerFunc{
		"with ranges": func(w http.ResponseWriter, r *http.Request) {
			var from int
			status := http.StatusOK
			if text, ok := strings.CutPrefix(r.Header.Get("Range"), "bytes="); ok {
				if r.Header.Get("If-Range") != `"one"` {
					t.Errorf("If-Range is %q", r.Header.Get("If-Range"))
				}
				from, _ = strconv.Atoi(strings.TrimSuffix(text, "-"))
				status = http.StatusPartialContent
				w.Header().Set("Content-Range", "bytes "+strconv.Itoa(from)+"-"+strconv.Itoa(len(data)-1)+"/"+strconv.Itoa(len(data)))
			}
			cut(w, r, from, status)
		},
		"without ranges": func(w http.ResponseWriter, r *http.Request) { cut(w, r, 0, http.StatusOK) },
	} {
		t.Run(name, func(t *testing.T) {
			ranges = nil
			h.serve = serve
			order.Force = true
			h.mustRelease(order)
			if len(ranges) < 5 || ranges[0] != "" || ranges[1] == "" {
				t.Errorf("requests for %q", ranges)
			}
		})
	}
}

func TestADownloadIsGivenUpWithOneClearLine(t *testing.T) {
	h := newHost(t)
	order := h.order(app("v1", nil))
	for status, want := range map[int]string{
		http.StatusForbidden:           "403 Forbidden: its URL has expired",
		http.StatusGone:                "410 Gone: its URL has expired",
		http.StatusInternalServerError: "given up after 8 tries at byte 0: 500",
	} {
		h.serve = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
		_, err := h.release(order)
		wantError(t, err, want)
	}
	h.serve = func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100")
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush()
		<-r.Context().Done() // a stalled peer
	}
	order.Timeout = fleet.Duration(100 * time.Millisecond)
	_, err := h.release(order)
	wantError(t, err, "the job's time of 100ms is over")
}

func TestAFullDiskIsToldAndStopsNothing(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to mount a small tmpfs")
	}
	h := newHost(t)
	must(t, os.MkdirAll(h.root, 0o755))
	if err := syscall.Mount("tmpfs", h.root, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("needs the right to mount a small tmpfs: %v", err)
	}
	t.Cleanup(func() { must(t, syscall.Unmount(h.root, 0)) })
	v1 := app("v1", nil)
	h.mustRelease(h.order(v1))
	_, err := h.release(h.order(app("v2", tree{"big": strings.Repeat("0", 2<<20)})))
	wantError(t, err, "no room on the file system of "+h.root)
	h.wantLive(v1)
	large := h.order(app("v3", nil))
	large.Revision.Size = 1 << 30
	before := h.fetched.Load()
	_, err = h.release(large)
	wantError(t, err, "not enough disk space on the file system of "+h.root, "one to spare 1.0 GiB")
	if h.fetched.Load() != before {
		t.Error("it was downloaded although it cannot fit")
	}
	h.mustRelease(h.order(app("v4", nil)))
	if _, err := os.Stat(filepath.Join(h.root, "current/version")); err != nil {
		t.Error(err)
	}
}
