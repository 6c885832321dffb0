// Package awstest is a small AWS for tests: Elastic Load Balancing v2, Auto Scaling and CloudWatch alarms, over the wire
// protocols that the real SDK speaks. It is faithful in time: targets are really probed, drain for their group's delay, and
// what is described is as old as Config.Lag says. Its listeners forward real requests to targets that are healthy.
// docs/aws.md has what the real AWS does beyond that.
package awstest

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/time/rate"
)

// The only account and region.
const (
	Region  = "eu-central-1"
	Account = "123456789012"
)

// Config says how trying this AWS is. Its zero value is the least.
type Config struct {
	Lag      time.Duration // what is described is that old
	Rate     float64       // calls of one action per second; more are throttled. Zero: as many as one likes
	PageSize int           // entries of one answer; 100 when zero
}

// AWS is the fake. Its methods may be called concurrently.
type AWS struct {
	URL string // for clients' BaseEndpoint

	cfg     Config
	running sync.WaitGroup

	mu        sync.Mutex
	groups    []*group
	listeners []*Listener
	hosts     map[string]string // of instances
	instances map[string]*Instance
	alarms    map[string]Alarm
	calls     map[string]int
	fail      map[string][]failure
	limits    map[string]*rate.Limiter
}

// New starts a fake that ends with the test, and gives the test's process the credentials that clients want.
func New(t *testing.T, cfg Config) *AWS {
	t.Helper()
	for _, v := range Environment() {
		name, value, _ := strings.Cut(v, "=")
		t.Setenv(name, value)
	}
	return Start(t, cfg)
}

// Environment is what its clients need.
func Environment() []string {
	return []string{"AWS_ACCESS_KEY_ID=AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY=example", "AWS_CONFIG_FILE=/nonexistent", "AWS_EC2_METADATA_DISABLED=true"}
}

// Start starts a fake for clients in other processes; see New and Environment.
func Start(t testing.TB, cfg Config) *AWS {
	t.Helper()
	if cfg.PageSize == 0 {
		cfg.PageSize = 100
	}
	a := &AWS{
		cfg: cfg, hosts: map[string]string{}, instances: map[string]*Instance{}, alarms: map[string]Alarm{},
		calls: map[string]int{}, fail: map[string][]failure{}, limits: map[string]*rate.Limiter{},
	}
	api := httptest.NewServer(http.HandlerFunc(a.serve))
	a.URL = api.URL
	t.Cleanup(func() {
		api.Close()
		a.close()
	})
	return a
}

func (a *AWS) close() {
	a.mu.Lock()
	for _, g := range a.groups {
		for _, t := range g.targets {
			t.stop()
		}
	}
	listeners := a.listeners
	a.mu.Unlock()
	for _, l := range listeners {
		l.server.Close()
	}
	a.running.Wait()
}

// Fail lets the next calls of an action fail with an error code of AWS.
func (a *AWS) Fail(action, code string, times int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for range times {
		a.fail[action] = append(a.fail[action], failure{code, "injected by the test"})
	}
}

// Calls says how often an action was called, refused calls included.
func (a *AWS) Calls(action string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.calls[action]
}

// failure is an error as AWS gives it.
type failure struct{ code, message string }

func (f failure) Error() string { return f.code + ": " + f.message }

func (f failure) status() int {
	if f.code == "ServiceUnavailable" || f.code == "InternalFailure" {
		return http.StatusServiceUnavailable
	}
	return http.StatusBadRequest
}

func invalid(format string, args ...any) error {
	return failure{"ValidationError", fmt.Sprintf(format, args...)}
}

// admit counts a call and says whether it is refused.
func (a *AWS) admit(action string) error {
	a.calls[action]++
	if planned := a.fail[action]; len(planned) > 0 {
		a.fail[action] = planned[1:]
		return planned[0]
	}
	if a.cfg.Rate == 0 {
		return nil
	}
	limit := a.limits[action]
	if limit == nil {
		limit = rate.NewLimiter(rate.Limit(a.cfg.Rate), max(1, int(a.cfg.Rate)))
		a.limits[action] = limit
	}
	if !limit.Allow() {
		return failure{"Throttling", "Rate exceeded"}
	}
	return nil
}

func (a *AWS) serve(w http.ResponseWriter, r *http.Request) {
	if operation, ok := strings.CutPrefix(r.URL.Path, "/service/GraniteServiceVersion20100801/operation/"); ok {
		a.serveAlarms(w, r, operation)
		return
	}
	w.Header().Set("Content-Type", "text/xml")
	if err := r.ParseForm(); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	action, version := r.PostForm.Get("Action"), r.PostForm.Get("Version")
	service := map[string]string{"2015-12-01": "elasticloadbalancing", "2011-01-01": "autoscaling"}[version]
	result, err := a.answer(service, action, r)
	if err != nil {
		f := failure{"InternalFailure", err.Error()}
		if known, ok := err.(failure); ok { //nolint:errorlint // it is never wrapped here
			f = known
		}
		w.WriteHeader(f.status())
		writeXML(w, "ErrorResponse", struct {
			Type    string `xml:"Error>Type"`
			Code    string `xml:"Error>Code"`
			Message string `xml:"Error>Message"`
			ID      string `xml:"RequestId"`
		}{"Sender", f.code, f.message, "fake"})
		return
	}
	writeXML(w, action+"Response", struct {
		Result named
		ID     string `xml:"ResponseMetadata>RequestId"`
	}{named{action + "Result", result}, "fake"})
}

func (a *AWS) answer(service, action string, r *http.Request) (any, error) {
	if err := signed(r, service); err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.admit(action); err != nil {
		return nil, err
	}
	handlers := a.elb()
	if service == "autoscaling" {
		handlers = a.autoscaling()
	}
	handle, ok := handlers[action]
	if !ok {
		return nil, failure{"InvalidAction", "the fake knows no " + service + " " + action}
	}
	return handle(form{r.PostForm, ""})
}

// signed looks that a request names a key, this region and the service; who it is from is not checked.
func signed(r *http.Request, service string) error {
	scope := "/" + Region + "/" + service + "/aws4_request"
	if auth := r.Header.Get("Authorization"); service == "" || !strings.HasPrefix(auth, "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/") || !strings.Contains(auth, scope) {
		return failure{"SignatureDoesNotMatch", fmt.Sprintf("not signed for %s: %q", scope, auth)}
	}
	return nil
}

type handlers map[string]func(form) (any, error)

// named is a value under a name that is known late.
type named struct {
	name  string
	value any
}

func (n named) MarshalXML(e *xml.Encoder, _ xml.StartElement) error {
	start := xml.StartElement{Name: xml.Name{Local: n.name}}
	if n.value == nil {
		return e.EncodeElement("", start)
	}
	return e.EncodeElement(n.value, start)
}

func writeXML(w http.ResponseWriter, name string, v any) {
	_ = xml.NewEncoder(w).EncodeElement(v, xml.StartElement{Name: xml.Name{Local: name}})
}

// form is the parameters of a Query call below a prefix.
type form struct {
	values url.Values
	prefix string
}

func (f form) get(key string) string { return f.values.Get(f.prefix + key) }

func (f form) number(key string) int {
	n, _ := strconv.Atoi(f.get(key))
	return n
}

// list gives the members of a list of structures.
func (f form) list(key string) []form {
	var out []form
	for i := 1; ; i++ {
		prefix := fmt.Sprintf("%s%s.member.%d", f.prefix, key, i)
		found := false
		for k := range f.values {
			found = found || k == prefix || strings.HasPrefix(k, prefix+".")
		}
		if !found {
			return out
		}
		out = append(out, form{f.values, prefix + "."})
	}
}

// texts gives the members of a list of texts.
func (f form) texts(key string) []string {
	var out []string
	for _, m := range f.list(key) {
		out = append(out, f.values.Get(strings.TrimSuffix(m.prefix, ".")))
	}
	return out
}

// page gives one page of a list and the marker of the next.
func page[T any](a *AWS, f form, all []T, marker string) ([]T, string, error) {
	start := 0
	if text := f.get(marker); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n > len(all) {
			return nil, "", invalid("marker %q", text)
		}
		start = n
	}
	end := min(start+a.cfg.PageSize, len(all))
	if end == len(all) {
		return all[start:], "", nil
	}
	return all[start:end], strconv.Itoa(end), nil
}
