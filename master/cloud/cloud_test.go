package cloud

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/brine-deploy/brine/master/cloud/awstest"
	"github.com/brine-deploy/brine/pkg/config"
	"github.com/brine-deploy/brine/pkg/fleet"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newCloud(t *testing.T, aws *awstest.AWS) *AWS {
	t.Helper()
	a, err := New(Config{Region: awstest.Region, Endpoint: aws.URL, Backoff: fleet.Duration(20 * time.Millisecond)}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func minion(id string) fleet.Minion {
	return fleet.Minion{ID: fleet.MinionID("web-" + id), Grains: fleet.Grains{"ec2": map[string]any{"instance_id": id, "region": awstest.Region}}}
}

func wantState(t *testing.T, i *awstest.Instance, want string) {
	t.Helper()
	if state, _ := i.State(); state != want {
		t.Errorf("instance %s is %s, want %s", i.ID, state, want)
	}
}

func TestAlarmsOfBothKindsAreRead(t *testing.T) {
	aws := awstest.New(t, awstest.Config{})
	a := newCloud(t, aws)
	aws.SetAlarm("errors", awstest.Alarm{State: "ALARM", Reason: "Threshold Crossed"})
	aws.SetAlarm("all", awstest.Alarm{State: "OK", Composite: true})
	aws.SetAlarm("young", awstest.Alarm{State: "INSUFFICIENT_DATA"})
	aws.Fail("DescribeAlarms", "Throttling", 2)
	for name, want := range map[string]string{"errors": "ALARM", "all": "OK", "young": "INSUFFICIENT_DATA"} {
		if state, reason, err := a.Alarm(t.Context(), "", name); err != nil || state != want || name == "errors" && reason != "Threshold Crossed" {
			t.Errorf("%s: %s, %s, %v", name, state, reason, err)
		}
	}
	if _, _, err := a.Alarm(t.Context(), awstest.Region, "nobody"); err == nil || !strings.Contains(err.Error(), "nobody") {
		t.Error(err)
	}
	aws.Fail("DescribeAlarms", "AccessDenied", 1)
	if _, _, err := a.Alarm(t.Context(), "", "errors"); err == nil || !strings.Contains(err.Error(), "AccessDenied") {
		t.Error(err)
	}
}

func TestAnInstanceWaitsForTheNewsOfItsMinion(t *testing.T) {
	aws := awstest.New(t, awstest.Config{})
	a := newCloud(t, aws)
	in := aws.Launch("i-in", "web", awstest.PendingWait, time.Minute)
	failed := aws.Launch("i-failed", "web", awstest.PendingWait, time.Minute)
	warm := aws.Launch("i-warm", "web", awstest.WarmedWait, time.Minute)
	tell := func(id string, news News) {
		t.Helper()
		for range 2 { // told twice it does no harm
			if err := a.Tell(t.Context(), minion(id), news, ""); err != nil {
				t.Error(err)
			}
		}
	}
	tell("i-in", Installing)
	wantState(t, in, awstest.PendingWait)
	if _, beats := in.State(); beats != 2 {
		t.Errorf("%d heartbeats, want 2", beats)
	}
	tell("i-in", Left) // not what it waits for
	wantState(t, in, awstest.PendingWait)
	aws.Fail("CompleteLifecycleAction", "ServiceUnavailable", 1)
	tell("i-in", In)
	wantState(t, in, awstest.InService)
	tell("i-failed", Failed)
	wantState(t, failed, awstest.Terminated)
	tell("i-warm", In)
	wantState(t, warm, awstest.WarmedStopped)
	in.Terminate()
	tell("i-in", In)
	wantState(t, in, awstest.TerminatingWait)
	tell("i-in", Left)
	wantState(t, in, awstest.Terminated)
	tell("i-unknown", In)
	if err := a.Tell(t.Context(), fleet.Minion{ID: "bare"}, In, ""); err != nil {
		t.Error(err)
	}
}

func TestStandingsOfAFleetAreReadPageByPage(t *testing.T) {
	aws := awstest.New(t, awstest.Config{PageSize: 7})
	a := newCloud(t, aws)
	var minions []fleet.Minion
	for i := range 120 {
		id := fmt.Sprintf("i-%03d", i)
		aws.Launch(id, "web", []string{awstest.InService, awstest.PendingWait, awstest.WarmedStopped, awstest.TerminatingWait, awstest.WarmedWait}[i%5], time.Minute)
		minions = append(minions, minion(id))
	}
	minions = append(minions, minion("i-elsewhere"), fleet.Minion{ID: "bare"})
	found, err := a.Watch(t.Context(), minions)
	if err != nil || len(found) != 120 {
		t.Fatal(len(found), err)
	}
	for i, want := range []Standing{Serving, Coming, Warm, Leaving, Warming} {
		if got := found[minions[i].ID]; got != want {
			t.Errorf("%s is %s, want %s", minions[i].ID, got, want)
		}
	}
}

func TestOnlyAGenuineYoungInstanceOfOursIsIdentified(t *testing.T) {
	genuine, forger := awstest.NewSigner(t), awstest.NewSigner(t)
	v, err := newVerifier(Identity{Accounts: []string{"1"}, Regions: []string{"eu-central-1"}, Certificates: []string{genuine.Certificate}})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for _, test := range []struct {
		by                  awstest.Signer
		account, region, id string
		age                 time.Duration
		want                string
	}{
		{genuine, "1", "eu-central-1", "i-0a", time.Minute, ""},
		{forger, "1", "eu-central-1", "i-0a", time.Minute, "not signed"},
		{genuine, "2", "eu-central-1", "i-0a", time.Minute, "account 2"},
		{genuine, "1", "us-east-1", "i-0a", time.Minute, "region us-east-1"},
		{genuine, "1", "eu-central-1", "i-0a", time.Hour, "within 30m0s"},
		{genuine, "1", "eu-central-1", "i-0a", -time.Hour, "within 30m0s"},
		{genuine, "1", "eu-central-1", "", time.Minute, "no instance"},
	} {
		doc, sig := test.by.Document(t, test.account, test.region, test.id, now.Add(-test.age))
		name, err := v.identify(doc, sig, now)
		if test.want == "" && (err != nil || name != "ec2:i-0a") || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%+v: %q, %v", test, name, err)
		}
	}
	doc, sig := genuine.Document(t, "1", "eu-central-1", "i-0a", now)
	if _, err := v.identify([]byte(strings.Replace(string(doc), "i-0a", "i-0b", 1)), sig, now); err == nil {
		t.Error("a changed document was believed")
	}
	none, err := newVerifier(Identity{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := none.identify(doc, sig, now); err == nil {
		t.Error("a document was believed without any account")
	}
}

func FuzzIdentify(f *testing.F) {
	key, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		f.Fatal(err)
	}
	v := &verifier{cfg: Identity{Accounts: []string{"1"}}, keys: []*rsa.PublicKey{&key.PublicKey}}
	f.Add([]byte(`{"accountId":"1","instanceId":"i-1"}`), []byte("AAAA"))
	f.Fuzz(func(t *testing.T, document, signature []byte) {
		if _, err := v.identify(document, signature, time.Now()); err == nil {
			t.Error("nobody signed this")
		}
	})
}

func TestAWebhookHearsOfNewcomersUntilItUnderstood(t *testing.T) {
	var calls atomic.Int32
	bodies := make(chan string, 5)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if calls.Add(1) < 3 {
			http.Error(w, "not now", http.StatusBadGateway)
			return
		}
		body, _ := io.ReadAll(r.Body)
		bodies <- r.Header.Get("Authorization") + " " + string(body)
	}))
	defer server.Close()
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w, err := NewWebhook(WebhookConfig{URL: server.URL, TokenFile: token})
	if err != nil {
		t.Fatal(err)
	}
	w.first = time.Millisecond
	for _, news := range []News{Installing, Failed} {
		if err := w.Tell(t.Context(), minion("i-1"), news, "exit code 1"); err != nil {
			t.Fatal(err)
		}
	}
	got, bearer := strings.CutPrefix(<-bodies, "Bearer secret ")
	var body struct{ Minion, Event, Reason string }
	if err := json.Unmarshal([]byte(got), &body); err != nil || !bearer || body.Minion != "web-i-1" || body.Event != "failed" || body.Reason != "exit code 1" {
		t.Error(got, err)
	}
	calls.Store(-100)
	if err := w.Tell(t.Context(), minion("i-1"), In, ""); err == nil || !strings.Contains(err.Error(), "502") {
		t.Error(err)
	}
}

func TestEachCloudReadsItsSectionStrictly(t *testing.T) {
	certificate := awstest.NewSigner(t).Certificate
	for _, test := range []struct{ name, section, want string }{
		{"aws", "region: eu-central-1\nidentity: {accounts: [\"1\"], certificates: [" + certificate + "]}", ""},
		{"aws", "secret_key: x", "secret_key"},
		{"aws", "identity: {accounts: [\"1\"]}", "certificates is missing"},
		{"aws", "identity: {certificates: [/nonexistent]}", "accounts is missing"},
		{"webhook", "url: https://example.com/hook", ""},
		{"webhook", "url: example", "no URL"},
		{"gce", "", "known: aws, webhook"},
	} {
		section, err := config.NewSection(test.name, test.section)
		if err != nil {
			t.Fatal(err)
		}
		_, err = List().New(test.name, section, slog.New(slog.DiscardHandler))
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %q: %v", test.name, test.section, err)
		}
	}
}
