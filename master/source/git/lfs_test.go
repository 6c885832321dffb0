package git_test

import (
	"os"
	"os/exec"
	"testing"

	"github.com/brine-deploy/brine/pkg/fleet"
)

func TestLargeFilesComeAlongWhenTheUserHasLFS(t *testing.T) {
	r := newRepo(t)
	if _, err := exec.LookPath("git-lfs"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("needs git-lfs")
		}
		t.Skip("needs git-lfs (Debian package git-lfs)")
	}
	t.Setenv("GIT_CONFIG_GLOBAL", t.TempDir()+"/gitconfig")
	r.git("lfs", "install", "--skip-repo")
	r.git("lfs", "track", "*.bin")
	r.commit("large.bin", "large content")
	src := open(t, fleet.SourceSpec{URL: r.url()}, t.TempDir())
	if files := export(t, src, resolve(t, src, "main")); files["large.bin"] != "large content" {
		t.Errorf("exported %q", files["large.bin"])
	}
}
