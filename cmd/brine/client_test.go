package main

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/brine-deploy/brine/pkg/config"
	"github.com/brine-deploy/brine/pkg/fleet"
)

func TestAStreamGoesOnWhenTheMasterIsBackOnItsSocket(t *testing.T) {
	defer goleak.VerifyNone(t)
	m, socket := stage(t, map[string]string{
		"GET_v1_deployments_d1_records": `{"seq":1,"kind":"note","message":"before"}` + "\n#hang\n",
	})
	var got []string
	losses, master := 0, m
	defer func() { master.stop() }()
	err := newClient(socket).records(t.Context(), "d1", func(r fleet.Record) {
		got = append(got, r.Message)
		if r.Message != "before" {
			return
		}
		m.stop()
		var err error
		if master, err = startMaster(m.dir, socket); err != nil {
			t.Fatal(err)
		}
		text := `{"seq":1,"kind":"note","message":"before"}` + "\n" + `{"seq":2,"kind":"deployment","status":"succeeded","message":"after"}` + "\n"
		if err := os.WriteFile(filepath.Join(m.dir, "GET_v1_deployments_d1_records"), []byte(text), 0o600); err != nil {
			t.Error(err)
		}
	}, func(error) { losses++ })
	if err != nil || losses != 1 || strings.Join(got, " ") != "before after" {
		t.Errorf("records %q, %d losses, error %v", got, losses, err)
	}
}

func TestAnAnswerThatIsNoRecordEndsTheStream(t *testing.T) {
	_, socket := stage(t, map[string]string{"GET_v1_deployments_d1_records": "<html>\n"})
	err := newClient(socket).records(t.Context(), "d1", func(fleet.Record) {}, func(error) {})
	if err == nil || !strings.Contains(err.Error(), "read from the master") {
		t.Errorf("error %v", err)
	}
}

func TestCtrlCEndsTheFollowingOnly(t *testing.T) {
	defer goleak.VerifyNone(t)
	m, _ := stage(t, map[string]string{
		"POST_v1_deployments":           `{"id":"d1","app":"shop","group":"production","status":"queued"}`,
		"GET_v1_deployments_d1_records": "#hang\n",
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer cancel()
		if err := eventually("it follows", func() bool { return m.seen("records") }); err != nil {
			t.Error(err)
		}
	}()
	var out, progress bytes.Buffer
	if code := run(ctx, []string{"deploy", "shop", "production"}, nil, &out, &progress); code != fleet.ExitFailed {
		t.Errorf("exit code %d", code)
	}
	if want := "deployment d1 goes on; brine watch d1\n"; !strings.HasSuffix(progress.String(), want) || out.Len() > 0 {
		t.Errorf("stdout %q, stderr %q", &out, &progress)
	}
	m.stop()
}

func TestAnUnreachableMasterIsExplained(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	for _, c := range []struct {
		err  error
		want []string
	}{
		{fs.ErrNotExist, []string{socket, "no such file; is brine-master running? (set --socket or BRINE_SOCKET)"}},
		{syscall.ECONNREFUSED, []string{"connection refused; is brine-master running?"}},
		{syscall.EACCES, []string{"permission denied; members of group ", "usermod -aG "}},
		{errors.New("odd"), []string{": odd; "}},
	} {
		got := (&unreachable{socket: socket, err: c.err}).Error()
		for _, want := range c.want {
			if !strings.Contains(got, want) {
				t.Errorf("%q does not say %q", got, want)
			}
		}
	}
}

func TestTheSampleApplicationLoads(t *testing.T) {
	app, err := config.LoadApplication("sample/shop.yml", config.AppChecks{})
	if err != nil || app.Name != "shop" || app.Groups["production"] == nil {
		t.Errorf("application %+v, error %v", app, err)
	}
}
