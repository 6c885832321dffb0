package archive_test

import (
	"strings"
	"testing"

	"github.com/brine-deploy/brine/pkg/archive"
)

func TestAValueOpensForItsIdentityOnly(t *testing.T) {
	mine, err := archive.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	other, err := archive.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := archive.Encrypt("hunter2\n", mine)
	if err != nil || !archive.Encrypted("  "+sealed) || strings.Contains(sealed, "hunter2") {
		t.Fatalf("%s, %v", sealed, err)
	}
	got, err := archive.Decrypt("\n"+sealed+"\n", "# created: today\n"+other+"\n"+mine+"\n")
	if err != nil || got != "hunter2\n" {
		t.Errorf("%q, %v", got, err)
	}
	for _, wrong := range []string{other, "", "nonsense"} {
		if got, err := archive.Decrypt(sealed, wrong); err == nil {
			t.Errorf("%q opens it: %q", wrong, got)
		}
	}
	if _, err := archive.Decrypt(sealed[:len(sealed)-80], mine); err == nil {
		t.Error("half of it opens")
	}
}
