package wire

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/brine-deploy/brine/pkg/fleet"
)

var update = flag.Bool("update", false, "write the golden files")

func samples() map[string]any {
	at := time.Date(2026, 3, 1, 12, 30, 0, 123456789, time.UTC)
	return map[string]any{
		"hello": Hello{
			Boot: "b1", LastSeq: 41, Spooled: 2, Version: "0.1.0", Tags: fleet.Tags{"role": "web"},
			Grains: fleet.Grains{
				"os": "Debian", "virtual": true, "mem_total": int64(7 << 30), "load": 0.5, "neg": int64(-5),
				"ipv4": []any{"10.0.0.1", int64(300)}, "disk": map[string]any{"sda": int64(1)},
			},
		},
		"ack":     Ack{Seq: 1<<63 + 1},
		"enrol":   Enrol{ID: "web1", Token: "t0k3n", Version: "0.1.0"},
		"request": Request{ID: 7, Kind: "highstate", Body: json.RawMessage(`{"a":1}`)},
		"job":     Job{Seq: 42, Body: []byte(`{"id":"j1"}`), Sig: bytes.Repeat([]byte{0xab}, 64)},
		"rack":    Rack{RSeq: 9},
		"reply":   Reply{ID: 7, Body: json.RawMessage(`[]`), Error: "no"},
		"ctl":     Ctl{Verb: CtlRefresh, Reason: "grains wanted"},
		"kill":    Ctl{Verb: CtlKill, Reason: "alice", Job: "j1"},
		"refusal": Ack{Seq: 5, Refused: "signature of the job is wrong"},
		"probe":   Probe{N: 3, RoundTrip: 1500 * time.Microsecond, Skew: -2 * time.Hour, Spooled: 4, Dropped: 1},
		"echo":    Echo{N: 3, Now: at.UnixNano()},
		"chunk":   Chunk{Kind: BlobReturn, ID: 9, Size: 20, Off: 10, Data: []byte("0123456789")},
		"stop":    ChunkAck{ID: 9, Off: 10, Stop: "too large"},
		"ret": Ret{RSeq: 3, Return: fleet.Return{
			Job: "j1", Minion: "web1", Part: 1, Last: true, Time: at, Outcome: fleet.Failed, Reason: "exit code 1",
			Event: &fleet.EventResult{Event: fleet.Install, Outcome: fleet.EventFailed, Started: at, Ended: at, ExitCode: 1, Tail: "oh\n"},
			Value: json.RawMessage(`{"serving":false}`),
		}},
	}
}

func TestEveryMessageKeepsItsBytesAndComesBackEqual(t *testing.T) {
	for name, msg := range samples() {
		t.Run(name, func(t *testing.T) {
			b, err := Encode(msg)
			if err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", name+".hex")
			if *update {
				if err := os.WriteFile(golden, []byte(hex.Dump(b)), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got := hex.Dump(b); got != string(want) {
				t.Errorf("bytes changed: old minions would not understand them\ngot\n%swant\n%s", got, want)
			}
			back, err := Decode(b)
			if ret, ok := back.(Ret); ok {
				ret.Text = nil
				back = ret
			}
			if err != nil || !reflect.DeepEqual(back, msg) {
				t.Errorf("decoded %#v, %v", back, err)
			}
		})
	}
}

func TestUnknownFieldsAreIgnored(t *testing.T) {
	b, err := marshal(map[string]any{"v": 1, "t": "ack", "seq": 5, "colour": []any{"red", map[string]any{"x": nil}}})
	if err != nil {
		t.Fatal(err)
	}
	if m, err := Decode(b); err != nil || m != (Ack{Seq: 5}) {
		t.Errorf("got %v, %v", m, err)
	}
}

func TestUnknownVersionsAndTypesAreRefused(t *testing.T) {
	var version *VersionError
	b, _ := marshal(map[string]any{"v": 2, "t": "ack", "seq": 5})
	if _, err := Decode(b); !errors.As(err, &version) || version.Version != 2 {
		t.Errorf("version 2 gave %v", err)
	}
	b, _ = marshal(map[string]any{"t": "ack", "seq": 5})
	if _, err := Decode(b); !errors.As(err, &version) || version.Version != 0 {
		t.Errorf("no version gave %v", err)
	}
	var kind *TypeError
	b, _ = marshal(map[string]any{"v": 1, "t": "explode"})
	if _, err := Decode(b); !errors.As(err, &kind) || kind.Type != "explode" {
		t.Errorf("unknown type gave %v", err)
	}
}

func TestWhatCannotBeReadIsNotWritten(t *testing.T) {
	for name, msg := range map[string]any{
		"a pointer":            &Ack{},
		"not a message":        fleet.Job{},
		"too big":              Job{Body: make([]byte, MaxSize)},
		"a time in the grains": Hello{Grains: fleet.Grains{"t": time.Now()}},
	} {
		if b, err := Encode(msg); err == nil {
			t.Errorf("%s: got %d bytes", name, len(b))
		}
	}
}

// hostile are inputs that would make the msgpack library allocate without bound, recurse without bound, or misread.
func hostile() map[string][]byte {
	hello := "\x83\xa1v\x01\xa1t\xa5hello\xa6grains"
	return map[string][]byte{
		"empty":                    {},
		"not a map":                {0x01},
		"map of 2^32 entries":      []byte("\xdf\xff\xff\xff\xff"),
		"list of 2^32 in grains":   []byte(hello + "\x81\xa1x\xdd\xff\xff\xff\xff"),
		"string of 2^32":           []byte(hello + "\x81\xa1x\xdb\xff\xff\xff\xff"),
		"bin of 2^32":              []byte("\x83\xa1v\x01\xa1t\xa3job\xa4body\xc6\xff\xff\xff\xff"),
		"time in front of a map":   []byte(hello + "\xd7\xff\xdf\xff\xff\xff\xff\xa1\xa1\xa1"),
		"a million deep":           []byte(hello + strings.Repeat("\x91", 1<<20) + "\x01"),
		"too many values":          []byte(hello + "\x81\xa1x\xdd\x00\x10\x00\x00" + strings.Repeat("\xc0", 1<<20)),
		"two messages":             []byte("\x83\xa1v\x01\xa1t\xa3ack\xa3seq\x01\xc0"),
		"cut off":                  []byte("\x83\xa1v\x01\xa1t\xa3ack\xa3seq\xcd\x01"),
		"the code that is nothing": []byte("\x83\xa1v\x01\xa1t\xa3ack\xa3seq\xc1"),
		"number where text is due": []byte("\x83\xa1v\x01\xa1t\xa3ctl\xa4verb\x05"),
		"text where a number is":   []byte("\x83\xa1v\x01\xa1t\xa3ack\xa3seq\xa1x"),
		"return that is no JSON":   []byte("\x83\xa1v\x01\xa1t\xa3ret\xa6return\xc4\x01{"),
		"a gigantic message":       make([]byte, MaxSize+1),
	}
}

func TestHostileBytesAreRefusedAndCostNoMemory(t *testing.T) {
	for name, b := range hostile() {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := Decode(b)
			runtime.ReadMemStats(&after)
			if !errors.Is(err, ErrMalformed) {
				t.Errorf("got %v", err)
			}
			if used := after.TotalAlloc - before.TotalAlloc; used > 1<<20 {
				t.Errorf("allocated %d bytes for %d", used, len(b))
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	for _, msg := range samples() {
		b, err := Encode(msg)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	for _, b := range hostile() {
		if len(b) < 100 {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		msg, err := Decode(b)
		if err != nil {
			return
		}
		again, err := Encode(msg)
		if err != nil {
			t.Fatalf("decoded %#v cannot be encoded: %v", msg, err)
		}
		back, err := Decode(again)
		if err != nil {
			t.Fatalf("%#v does not come back: %v", msg, err)
		}
		if third, err := Encode(back); err != nil || !bytes.Equal(again, third) {
			t.Fatalf("%#v is not stable: %v", msg, err)
		}
	})
}

// FuzzGuard checks the guard against the library: what passes has the structure that the library reads.
func FuzzGuard(f *testing.F) {
	for _, b := range hostile() {
		if len(b) < 100 {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if guard(b) != nil {
			return
		}
		if _, err := decode[map[string]any](b); err != nil && strings.Contains(err.Error(), "EOF") {
			t.Fatalf("the library reads past the end of what passed: %v", err)
		}
	})
}

func marshal(v any) ([]byte, error) {
	var buf bytes.Buffer
	err := newEncoder(&buf).Encode(v)
	return buf.Bytes(), err
}

func TestTheQuickWayToTheEnvelopeReadsTheSame(t *testing.T) {
	for _, msg := range []any{Ack{Seq: 1 << 40}, Rack{RSeq: 3}, Job{Seq: 1, Body: make([]byte, 70_000), Sig: []byte("s")}, Ctl{Verb: "bye"}} {
		b, err := Encode(msg)
		if err != nil {
			t.Fatal(err)
		}
		want, err := decode[envelope](b)
		if got, ok := quickHead(b); !ok || err != nil || got != want {
			t.Errorf("%T: got %+v, %v, want %+v, %v", msg, got, ok, want, err)
		}
	}
	for name, b := range map[string]string{
		"a large map":    "\xde\x00\x02\xa1v\x01\xa1t\xa3ack",
		"a number's map": "\x82\x01\x01\xa1t\xa3ack",
		"a long version": "\x82\xa1v\xcc\x01\xa1t\xa3ack",
		"a long type":    "\x82\xa1v\x01\xa1t\xd9\x03ack",
	} {
		if _, ok := quickHead([]byte(b)); ok {
			t.Errorf("%s was read", name)
		}
	}
}
