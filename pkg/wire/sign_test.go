package wire

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/brine-deploy/brine/pkg/fleet"
)

func testKey(t testing.TB) SigningKey {
	t.Helper()
	key, err := GenerateSigningKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestOnlyTheMastersSignatureOpensAJob(t *testing.T) {
	key := testKey(t)
	job := fleet.Job{ID: "j1", Minion: "web1", Function: "test.ping", By: "anna", Issued: time.Unix(1, 0).UTC(), Deadline: time.Unix(2, 5).UTC()}
	body, sig, err := Sign(key, job)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Open(key.Public(), body, sig)
	if err != nil || !reflect.DeepEqual(got, job) {
		t.Fatalf("got %+v, %v", got, err)
	}
	bent := append([]byte(nil), body...)
	bent[len(bent)/2] ^= 1
	for name, c := range map[string]struct {
		pub       ed25519.PublicKey
		body, sig []byte
	}{
		"altered body":         {key.Public(), bent, sig},
		"altered signature":    {key.Public(), body, append([]byte{sig[0] ^ 1}, sig[1:]...)},
		"short signature":      {key.Public(), body, sig[:63]},
		"no signature":         {key.Public(), body, nil},
		"another master's key": {testKey(t).Public(), body, sig},
		"no key":               {nil, body, sig},
		"signed for something else": {
			key.Public(), body,
			ed25519.Sign(key.private(), body),
		},
	} {
		if _, err := Open(c.pub, c.body, c.sig); !errors.Is(err, ErrSignature) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	key := testKey(t)
	type holder struct{ inner SigningKey }
	secret := fmt.Sprintf("%d", key.private().Seed()[:4])
	for _, verb := range []string{"%v", "%+v", "%#v", "%d", "%s", "%x"} {
		for _, text := range []string{fmt.Sprintf(verb, key), fmt.Sprintf(verb, holder{key}), fmt.Sprintf(verb, &key)} {
			if strings.Contains(text, strings.Trim(secret, "[]")) || strings.Contains(text, fmt.Sprintf("%x", key.private().Seed()[:4])) {
				t.Errorf("%s prints %s", verb, text)
			}
		}
	}
}

func TestSigningKeyOutlivesARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sign.key")
	first, err := LoadOrCreateSigningKey(path)
	if err != nil {
		t.Fatal(err)
	}
	again, err := LoadOrCreateSigningKey(path)
	if err != nil || !first.Public().Equal(again.Public()) {
		t.Fatalf("another key after a restart: %v", err)
	}
}

func TestTypoInTheMasterKeyIsFound(t *testing.T) {
	want := MasterKey{Bus: fleet.Key{1, 2, 3}, Sign: testKey(t).Public()}
	text := want.String()
	got, err := ParseMasterKey(" " + text + "\n")
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("got %v, %v", got, err)
	}
	for i := range text {
		other := byte('A')
		if text[i] == other {
			other = 'B'
		}
		if _, err := ParseMasterKey(text[:i] + string(other) + text[i+1:]); err == nil {
			t.Errorf("typo at %d not found", i)
		}
	}
	for bad, reason := range map[string]string{
		"":                          `starts with "brine1:"`,
		text[7:]:                    `starts with "brine1:"`,
		text[:len(text)-1]:          "copied whole",
		text + "A":                  "copied whole",
		text[:20] + "!" + text[21:]: "character 21",
	} {
		if _, err := ParseMasterKey(bad); err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("%q: got %v, want %q", bad, err, reason)
		}
	}
}

func FuzzParseMasterKey(f *testing.F) {
	f.Add(MasterKey{Sign: testKey(f).Public()}.String())
	f.Add("brine1:")
	f.Fuzz(func(t *testing.T, text string) {
		if k, err := ParseMasterKey(text); err == nil && k.String() != strings.TrimSpace(text) {
			t.Errorf("%q is another form of %q", text, k)
		}
	})
}

func TestManyJobsSignedAtOnceOpenOneByOne(t *testing.T) {
	key, err := GenerateSigningKey()
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 1, 2, 3, 63, 64, 65, 130} {
		jobs := make([]fleet.Job, n)
		for i := range jobs {
			jobs[i] = fleet.Job{
				ID: `"minion":""`, Minion: fleet.MinionID(fmt.Sprintf("web%d \"<", i)), Function: "test.ping", Args: json.RawMessage(`{"minion":""}`),
				Issued: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC),
			}
			if i%7 == 3 {
				jobs[i].Args = json.RawMessage(`{"own":true}`)
			}
		}
		list, err := SignAll(key, jobs)
		if err != nil {
			t.Fatal(err)
		}
		for i, s := range list {
			want, err := json.Marshal(jobs[i])
			if err != nil {
				t.Fatal(err)
			}
			if string(s.Body) != string(want) {
				t.Fatalf("job %d of %d is %s, want %s", i, n, s.Body, want)
			}
			if job, err := Open(key.Public(), s.Body, s.Sig); err != nil || job.Minion != jobs[i].Minion {
				t.Fatalf("job %d of %d: %v", i, n, err)
			}
			other := list[(i+1)%n]
			if _, err := Open(key.Public(), other.Body, s.Sig); n > 1 && !errors.Is(err, ErrSignature) {
				t.Errorf("the signature of job %d of %d opens another: %v", i, n, err)
			}
		}
	}
}

func TestAnAlteredTreeSignatureOpensNothing(t *testing.T) {
	key, err := GenerateSigningKey()
	if err != nil {
		t.Fatal(err)
	}
	list, err := SignAll(key, []fleet.Job{{ID: "1", Minion: "web1"}, {ID: "1", Minion: "web2"}, {ID: "1", Minion: "web3"}})
	if err != nil {
		t.Fatal(err)
	}
	body, sig := list[2].Body, list[2].Sig
	for i := range sig {
		bad := bytes.Clone(sig)
		bad[i] ^= 1
		if _, err := Open(key.Public(), body, bad); !errors.Is(err, ErrSignature) {
			t.Errorf("byte %d altered: %v", i, err)
		}
		if _, err := Open(key.Public(), body, sig[:i]); !errors.Is(err, ErrSignature) {
			t.Errorf("cut at %d: %v", i, err)
		}
	}
}

// FuzzOpen gives a minion jobs with signatures from the network: only what the master has signed opens, whatever the way to its
// root looks like.
func FuzzOpen(f *testing.F) {
	key := testKey(f)
	genuine := map[string]bool{}
	for _, n := range []int{1, 2, 5} {
		jobs := make([]fleet.Job, n)
		for i := range jobs {
			jobs[i] = fleet.Job{ID: "j1", Minion: fleet.MinionID(fmt.Sprint("web", n, i)), Function: "test.ping"}
		}
		list, err := SignAll(key, jobs)
		if err != nil {
			f.Fatal(err)
		}
		for _, s := range list {
			genuine[string(s.Body)] = true
			f.Add(s.Body, s.Sig)
		}
	}
	f.Add([]byte("{}"), make([]byte, ed25519.SignatureSize+saltSize+placeSize+33*32))
	f.Fuzz(func(t *testing.T, body, sig []byte) {
		if _, err := Open(key.Public(), body, sig); err == nil && !genuine[string(body)] {
			t.Errorf("%q opened with %x", body, sig)
		}
	})
}
