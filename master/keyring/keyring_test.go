package keyring_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/brine-deploy/brine/master/journal"
	"github.com/brine-deploy/brine/master/journal/sqlite"
	"github.com/brine-deploy/brine/master/keyring"
	"github.com/brine-deploy/brine/pkg/fleet"
)

type fixture struct {
	*keyring.Keyring
	journal *journal.Journal
	changes []fleet.MinionKey // written one at a time
}

func open(t *testing.T) *fixture {
	t.Helper()
	j, err := sqlite.Open(filepath.Join(t.TempDir(), "journal.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	})
	f := &fixture{journal: j}
	f.restart(t)
	return f
}

func (f *fixture) restart(t *testing.T) {
	t.Helper()
	var err error
	f.Keyring, err = keyring.New(t.Context(), f.journal, func(k fleet.MinionKey) { f.changes = append(f.changes, k) })
	if err != nil {
		t.Fatal(err)
	}
}

// as checks what a key is authorized as; empty: refused.
func (f *fixture) as(t *testing.T, key fleet.Key, want string) {
	t.Helper()
	got, err := f.Authorize(t.Context(), key, nil)
	if got != want || (err == nil) != (want != "") {
		t.Errorf("authorized as %q (%v), want %q", got, err, want)
	}
}

func TestOneKeyOfEachInstanceIsAccepted(t *testing.T) {
	f := open(t)
	ctx := t.Context()
	first, second, third := fleet.Key{1}, fleet.Key{2}, fleet.Key{3}
	f.enrol(t, first, "web1", "") // was pending before its document was there
	for range 2 {
		if state, err := f.EnrolAs(ctx, first, "web1", "ec2:i-1", "10.0.0.1:1"); err != nil || state != fleet.KeyAccepted {
			t.Fatal(state, err)
		}
	}
	f.as(t, first, "web1")
	for _, test := range []struct {
		key  fleet.Key
		id   fleet.MinionID
		by   string
		want error
	}{
		{second, "web2", "ec2:i-1", keyring.ErrRefused}, // the instance has a key
		{second, "web1", "ec2:i-2", keyring.ErrIDTaken},
		{first, "web3", "ec2:i-1", keyring.ErrRefused}, // the key has an id
	} {
		if state, err := f.EnrolAs(ctx, test.key, test.id, test.by, "10.0.0.1:1"); !errors.Is(err, test.want) {
			t.Errorf("%s as %s: %s, %v", test.by, test.id, state, err)
		}
	}
	if _, err := f.Revoke(ctx, "web1", "alice"); err != nil {
		t.Fatal(err)
	}
	if _, err := f.EnrolAs(ctx, third, "web1", "ec2:i-3", "10.0.0.1:1"); !errors.Is(err, keyring.ErrRefused) {
		t.Errorf("an id whose key was revoked came back by itself: %v", err)
	}
	if state, err := f.EnrolAs(ctx, second, "web2", "ec2:i-2", "10.0.0.1:1"); err != nil || state != fleet.KeyAccepted {
		t.Error(state, err)
	}
}

func (f *fixture) enrol(t *testing.T, key fleet.Key, id fleet.MinionID, token string) fleet.KeyState {
	t.Helper()
	state, err := f.Enrol(t.Context(), key, id, token, "10.0.0.1:4000")
	if err != nil {
		t.Error(err)
	}
	return state
}

func (f *fixture) log(t *testing.T) (lines []string) {
	t.Helper()
	records, err := f.journal.After(t.Context(), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		lines = append(lines, fmt.Sprintf("%s %s %s", r.By, r.Minion, r.Key))
	}
	return lines
}

func TestKeyWaitsForAnOperatorAndIsCutOffWhenRevoked(t *testing.T) {
	f, ctx, key := open(t), t.Context(), fleet.Key{1}
	f.as(t, key, keyring.Pending(key))
	for range 2 {
		if state := f.enrol(t, key, "web1", ""); state != fleet.KeyPending {
			t.Errorf("state %s", state)
		}
	}
	f.as(t, key, keyring.Pending(key))
	if _, err := f.Accept(ctx, "web1", fleet.Key{2}.Fingerprint(), "alice"); err == nil {
		t.Error("accepted with another key's fingerprint")
	}
	if _, err := f.Revoke(ctx, "web1", "alice"); err == nil {
		t.Error("revoked a key that was never accepted")
	}
	if _, err := f.Accept(ctx, "web1", key.Fingerprint(), "alice"); err != nil {
		t.Error(err)
	}
	f.as(t, key, "web1")
	f.restart(t)
	f.as(t, key, "web1")
	if _, err := f.Revoke(ctx, "web1", "bob"); err != nil {
		t.Error(err)
	}
	f.as(t, key, "")
	if _, err := f.Accept(ctx, "web1", key.Fingerprint(), "alice"); err == nil {
		t.Error("a revoked key was accepted")
	}
	if _, err := f.Enrol(ctx, key, "web2", "", ""); !errors.Is(err, keyring.ErrRefused) {
		t.Errorf("a revoked key enrolled: %v", err)
	}
	f.restart(t)
	f.as(t, key, "")
	want := "web1 web1 pending|alice web1 accepted|bob web1 revoked"
	if got := strings.Join(f.log(t), "|"); got != want {
		t.Errorf("log %s, want %s", got, want)
	}
	if len(f.changes) != 3 || f.changes[2].State != fleet.KeyRevoked {
		t.Errorf("told of %v", f.changes)
	}
}

func TestRejectedKeyIsAcceptedByItsFingerprintOnly(t *testing.T) {
	f, ctx, key := open(t), t.Context(), fleet.Key{1}
	f.enrol(t, key, "web1", "")
	if _, err := f.Reject(ctx, "web1", "alice"); err != nil {
		t.Error(err)
	}
	f.as(t, key, "")
	if _, err := f.Accept(ctx, "web1", "", "alice"); err == nil {
		t.Error("accepted by mistake")
	}
	if _, err := f.Accept(ctx, "web1", key.Fingerprint(), "alice"); err != nil {
		t.Error(err)
	}
	f.as(t, key, "web1")
	if _, err := f.Accept(ctx, "web9", "", "alice"); !errors.Is(err, keyring.ErrUnknownID) {
		t.Error(err)
	}
}

func TestSameIDWithAnotherKeyIsRefusedAndReportedOnce(t *testing.T) {
	f, ctx := open(t), t.Context()
	f.enrol(t, fleet.Key{1}, "web1", "")
	token, err := f.NewToken(ctx, time.Hour, 1, "alice")
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"", "", token.Text} {
		if _, err := f.Enrol(ctx, fleet.Key{2}, "web1", text, "10.6.6.6:1"); !errors.Is(err, keyring.ErrIDTaken) {
			t.Errorf("enrolled: %v", err)
		}
	}
	want := "web1 web1 pending|alice  |10.6.6.6:1 web1 "
	if got := strings.Join(f.log(t), "|"); got != want {
		t.Errorf("log %s, want %s", got, want)
	}
	if f.enrol(t, fleet.Key{3}, "web3", token.Text) != fleet.KeyAccepted {
		t.Error("the refused one has used up the token")
	}
	if _, err := f.Enrol(ctx, fleet.Key{3}, "web4", "", ""); !errors.Is(err, keyring.ErrIDTaken) {
		t.Errorf("an accepted key got another id: %v", err)
	}
}

func TestTokenAdmitsAsOftenAsItMayAndNoLonger(t *testing.T) {
	f, ctx := open(t), t.Context()
	token, err := f.NewToken(ctx, time.Hour, 2, "alice")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(token.Text, "brt_") || len(token.Text) != 31 {
		t.Errorf("token %s", token.Text)
	}
	f.enrol(t, fleet.Key{1}, "web1", "") // was pending before it got the token
	for range 2 {                        // the reply was lost
		if f.enrol(t, fleet.Key{1}, "web1", token.Text) != fleet.KeyAccepted {
			t.Error("not accepted")
		}
	}
	f.enrol(t, fleet.Key{2}, "web2", token.Text)
	short, err := f.NewToken(ctx, time.Nanosecond, 1, "alice")
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]error{
		token.Text: journal.ErrTokenUsed, short.Text: journal.ErrTokenExpired, "brt_guess": journal.ErrTokenUnknown,
	} {
		if _, err := f.Enrol(ctx, fleet.Key{3}, "web3", text, ""); !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
	}
	f.as(t, fleet.Key{2}, "web2")
	f.as(t, fleet.Key{3}, keyring.Pending(fleet.Key{3}))
	list, err := f.List(ctx)
	if err != nil || len(list) != 2 || !strings.HasPrefix(list[0].By, "token:") {
		t.Errorf("keys %v %v", list, err)
	}
}

func TestStrangersCannotFillTheKeyring(t *testing.T) {
	f, ctx := open(t), t.Context()
	var mu sync.Mutex
	pending, full := 0, 0
	var all sync.WaitGroup
	for n := range byte(30) {
		all.Go(func() {
			id := fleet.MinionID(fmt.Sprintf("bad%d", n))
			_, err := f.Enrol(ctx, fleet.Key{n}, id, "", fmt.Sprintf("10.0.0.1:%d", 1000+int(n)))
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				pending++
			case errors.Is(err, keyring.ErrFull):
				full++
			default:
				t.Error(err)
			}
		})
	}
	all.Wait()
	if pending != 20 || full != 10 {
		t.Errorf("%d pending, %d kept out", pending, full)
	}
	if _, err := f.Enrol(ctx, fleet.Key{99}, "good", "", "10.0.0.2:1000"); err != nil {
		t.Error(err)
	}
	for _, id := range []fleet.MinionID{"", "a:b", "../x", fleet.MinionID(strings.Repeat("x", 129))} {
		if _, err := f.Enrol(ctx, fleet.Key{98}, id, "", ""); err == nil {
			t.Errorf("id %q was taken", id)
		}
	}
}

type brokenJournal struct{ keyring.Journal }

func (brokenJournal) PutKey(context.Context, fleet.MinionKey, ...fleet.Record) error {
	return errors.New("disk full")
}

func TestChangeThatTheJournalRefusesIsNotMade(t *testing.T) {
	f, ctx := open(t), t.Context()
	f.enrol(t, fleet.Key{1}, "web1", "")
	broken, err := keyring.New(ctx, brokenJournal{f.journal}, func(fleet.MinionKey) { t.Error("told of a change") })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := broken.Accept(ctx, "web1", "", "alice"); err == nil {
		t.Error("accepted")
	}
	if got, _ := broken.Authorize(ctx, fleet.Key{1}, nil); !keyring.IsPending(got) {
		t.Errorf("authorized as %s", got)
	}
}
