package cron

import "testing"

func FuzzATabIsReadAsItIsWritten(f *testing.F) {
	f.Add("5 * * * * /bin/foreign\n" + tag + "\nA=b\n# c SALT_CRON_IDENTIFIER:x\n#DISABLED#1 2 3 4 5 cmd a\n@reboot y\n")
	f.Add(tag + "\n# only a comment\njunk\n")
	f.Fuzz(func(t *testing.T, text string) {
		once := parse(text).String()
		if again := parse(once).String(); again != once {
			t.Errorf("%q was written as %q, then as %q", text, once, again)
		}
	})
}
