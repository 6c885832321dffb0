package process

import (
	"strings"
	"testing"
)

func TestSecretsAreTakenOutHoweverTheyAreSplit(t *testing.T) {
	for name, c := range map[string]struct {
		secrets  []string
		in, want string
	}{
		"none":        {nil, "all of it", "all of it"},
		"one":         {[]string{"hunter2"}, "it is hunter2, not hunter3", "it is **redacted**, not hunter3"},
		"twice":       {[]string{"hunter2"}, "hunter2hunter2", "**redacted****redacted**"},
		"in another":  {[]string{"bcbc", "abcbcd"}, "abcbcd bcbc abcbc", "**redacted** **redacted** a**redacted**"},
		"overlapping": {[]string{"abcd", "cdef"}, "xabcdefx", "x**redacted**x"},
		"with itself": {[]string{"aaaa"}, strings.Repeat("a", 50) + "b", "**redacted**b"},
		"too short":   {[]string{"abc", ""}, "abc", "abc"},
		"of lines":    {[]string{"-----BEGIN-----\n  first line\n-----END-----\n"}, "x\nfirst line\n", "x\n**redacted**\n"},
		"a beginning": {[]string{"hunter2"}, "hunter", "hunter"},
	} {
		for size := 1; size <= len(c.in)+1; size++ {
			r, got := newRedactor(c.secrets), ""
			for in := c.in; in != ""; {
				n := min(size, len(in))
				got += string(r.write([]byte(in[:n])))
				in = in[n:]
			}
			if got += string(r.flush()); got != c.want {
				t.Errorf("%s, %d bytes at once: %q, want %q", name, size, got, c.want)
			}
		}
	}
}

func TestASecretShowsUpNowhere(t *testing.T) {
	s := script(t, "#!/bin/sh\nprintf 'my hun'\nsleep 0.1\nprintf 'ter2 is out\\n'\necho hunter2 >&2\n")
	s.Secrets = []string{"hunter2"}
	seen := ""
	s.Output = func(l Line) { seen += l.Text + "\n" }
	res, err := Run(t.Context(), s)
	const want = "my **redacted** is out\n**redacted**\n"
	if log := s.file(t, "log"); err != nil || seen != want || log != want || res.Tail+"\n" != want {
		t.Errorf("%v; seen %q, log %q, tail %q", err, seen, log, res.Tail)
	}
}
