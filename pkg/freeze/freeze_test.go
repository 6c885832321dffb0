package freeze_test

import (
	"strings"
	"testing"
	"time"

	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/pkg/freeze"
)

func TestAFreezeHoldsFromItsBeginningToItsEnd(t *testing.T) {
	weekend := fleet.Freeze{Cron: "0 16 * * FRI", For: fleet.Duration(64 * time.Hour), Zone: "Europe/Amsterdam"}
	holidays := fleet.Freeze{From: "2026-12-20", To: "2027-01-03T08:00:00Z"}
	for _, tt := range []struct {
		name   string
		freeze fleet.Freeze
		now    string
		until  string // empty: not frozen
	}{
		{"a minute before", weekend, "2026-11-20T14:59:00Z", ""},
		{"as it begins", weekend, "2026-11-20T15:00:00Z", "2026-11-23T07:00:00Z"},
		{"in the middle", weekend, "2026-11-22T12:00:00Z", "2026-11-23T07:00:00Z"},
		{"as it ends", weekend, "2026-11-23T07:00:00Z", ""},
		{"before the holidays", holidays, "2026-12-19T23:59:59Z", ""},
		{"at midnight", holidays, "2026-12-20T00:00:00Z", "2027-01-03T08:00:00Z"},
		{"after the holidays", holidays, "2027-01-03T08:00:00Z", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, err := freeze.Parse(tt.freeze)
			if err != nil {
				t.Fatal(err)
			}
			now, _ := time.Parse(time.RFC3339, tt.now)
			until, ok := w.Until(now)
			if got := until.UTC().Format(time.RFC3339); ok != (tt.until != "") || ok && got != tt.until {
				t.Errorf("until %s, %v; want %q", got, ok, tt.until)
			}
		})
	}
}

func TestAFreezeThatMeansNothingIsRefused(t *testing.T) {
	hour := fleet.Duration(time.Hour)
	for _, tt := range []struct {
		freeze fleet.Freeze
		want   string
	}{
		{fleet.Freeze{}, "from and to, or cron and for"},
		{fleet.Freeze{From: "2026-12-20", To: "2026-12-20"}, "is not after"},
		{fleet.Freeze{From: "tomorrow", To: "2026-12-20"}, `from: "tomorrow" is no instant`},
		{fleet.Freeze{Cron: "0 16 * *", For: hour}, "is not minute, hour"},
		{fleet.Freeze{Cron: "0 16 * * FRI"}, "for is missing"},
		{fleet.Freeze{Cron: "0 16 * * FRI", For: hour, Zone: "Mars"}, "no time zone"},
		{fleet.Freeze{Cron: "0 16 * * FRI", For: hour, From: "2026-12-20"}, "from and to, or cron and for"},
	} {
		if _, err := freeze.Parse(tt.freeze); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: error %v, want %q", tt.freeze, err, tt.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("2026-12-20", "2026-12-21", "", "")
	f.Add("", "", "0 16 * * FRI", "Europe/Amsterdam")
	f.Fuzz(func(_ *testing.T, from, to, cron, zone string) {
		if w, err := freeze.Parse(fleet.Freeze{From: from, To: to, Cron: cron, Zone: zone, For: fleet.Duration(time.Hour)}); err == nil {
			w.Until(time.Unix(0, 0))
		}
	})
}
