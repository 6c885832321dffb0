package e2e

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/brine-deploy/brine/cmd/internal/fleettest"
)

const (
	accessKey = "AKEXAMPLE"
	secretKey = "a-secret-of-the-master"
	bucket    = "archives"
)

// startS3 starts a real S3 server behind a tap, with an empty bucket.
func startS3(t *testing.T) (tap *fleettest.Tap, dir string) {
	t.Helper()
	program := fleettest.Needs(t, "versitygw", "go install github.com/versity/versitygw/cmd/versitygw@v1.8.0")
	ports, err := fleettest.FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	root, address := t.TempDir(), "127.0.0.1:"+ports[0]
	dir = filepath.Join(root, bucket)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "--port", address, "--access", accessKey, "--secret", secretKey, "--quiet", "posix", root)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()
	})
	fleettest.AwaitListener(t, "tcp", address)
	return fleettest.StartTap(t, address), dir
}

// fetched finds the URLs that minions asked for.
var fetched = regexp.MustCompile(`GET (/archives/\S+) HTTP/1\.1\r\nHost: ([^\r]+)\r\nUser-Agent: brine-minion/`)

func TestMinionsFetchFromS3WithoutCredentials(t *testing.T) {
	t.Parallel()
	tap, dir := startS3(t)
	s := fleettest.StartShop(t, fleettest.ShopConfig{
		Bin: bin, Minions: 3, HAProxy: true,
		Master: fmt.Sprintf("store: {type: s3, bucket: %s, endpoint: %q, path_style: true, access_key: %s, secret_key: %s}", bucket, "http://"+tap.Address, accessKey, secretKey),
	})
	noise := make([]byte, 4<<10) // which no compression hides
	_, _ = rand.Read(noise)
	if err := os.WriteFile(filepath.Join(s.Dir, "repo", "noise"), noise, 0o600); err != nil {
		t.Fatal(err)
	}
	forthAndBack(t, s)

	up, down := tap.Bytes()
	objects := contents(t, dir)
	if len(objects) < 2 {
		t.Errorf("the bucket has %d objects", len(objects))
	}
	for name, object := range objects {
		if bytes.Contains(object, noise[:64]) || !bytes.HasPrefix(object, []byte("age-encryption.org/v1")) {
			t.Errorf("object %s is not encrypted", name)
		}
	}
	if bytes.Contains(up, noise[:64]) || bytes.Contains(down, noise[:64]) {
		t.Error("the source goes to the store or from it as it is")
	}
	wantPresigned(t, up)
	for _, id := range s.Minions {
		wantNoCredentials(t, s, id)
	}
}

// wantPresigned checks that every URL was good for a short time, for its object alone, and that the store looks.
func wantPresigned(t *testing.T, requests []byte) {
	t.Helper()
	found := fetched.FindAllSubmatch(requests, -1)
	if len(found) < 6 {
		t.Fatalf("%d requests of minions, want two of each", len(found))
	}
	var last *url.URL
	for _, match := range found {
		u, err := url.Parse("http://" + string(match[2]) + string(match[1]))
		if err != nil {
			t.Fatal(err)
		}
		seconds, err := strconv.Atoi(u.Query().Get("X-Amz-Expires"))
		if err != nil || seconds > 5*60 || u.Query().Get("X-Amz-Signature") == "" {
			t.Errorf("%s is not signed for a short time", u)
		}
		last = u
	}
	for what, change := range map[string]func(url.Values){
		"as it was":  func(url.Values) {},
		"unsigned":   func(q url.Values) { clear(q) },
		"for longer": func(q url.Values) { q.Set("X-Amz-Expires", "86400") },
	} {
		u, q := *last, last.Query()
		change(q)
		u.RawQuery = q.Encode()
		resp, err := http.Get(u.String())
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close() // only its status counts
		if want := map[bool]int{true: http.StatusOK, false: http.StatusForbidden}[what == "as it was"]; resp.StatusCode != want {
			t.Errorf("the URL %s: %s", what, resp.Status)
		}
	}
}

// wantNoCredentials looks for the store's secret wherever a minion could have it.
func wantNoCredentials(t *testing.T, s *fleettest.Shop, id string) {
	t.Helper()
	files := contents(t, filepath.Join(s.Dir, id))
	for _, name := range []string{filepath.Join(s.Dir, id+".log"), fmt.Sprintf("/proc/%d/environ", s.Pid(id))} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = text
	}
	for name, text := range files {
		if bytes.Contains(text, []byte(secretKey)) || bytes.Contains(text, []byte("AWS_")) && strings.HasSuffix(name, "environ") {
			t.Errorf("%s has credentials", name)
		}
	}
}

// contents reads every file below a directory.
func contents(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		files[path], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
