package quiet_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/brine-deploy/brine/pkg/quiet"
)

func TestSummaryOfAFloodIsALinePerInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lines bytes.Buffer
		log := slog.New(slog.NewTextHandler(&lines, nil))
		s := quiet.New(func(counts ...any) { log.Warn("peers rejected", counts...) })
		for range 60_000 { // for a minute
			s.Note("failed", "last_from", "x")
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Hour)
		s.Note("refused")
		s.Stop()
		s.Note("failed")
		if n := strings.Count(lines.String(), "\n"); n != 8 {
			t.Errorf("%d lines:\n%s", n, lines.String())
		}
		if !strings.Contains(lines.String(), "failed=10000 last_from=x") || !strings.Contains(lines.String(), "refused=1") {
			t.Error(lines.String())
		}
	})
}
