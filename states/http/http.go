// Package http asks web servers: Salt's http states.
package http

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/pkg/regex"
	"github.com/brine-deploy/brine/states/args"
	"github.com/brine-deploy/brine/states/state"
)

// States are the functions of the family.
func States() state.Family {
	query := []string{
		"match", "match_type", "status", "status_type", "method", "params", "data", "data_file", "header_dict", "header_list", "header_file", "username",
		"password", "verify_ssl", "ca_bundle", "timeout", "decode", "text", "headers", "raise_error", "opts", "backend", "wait_for",
	}
	return state.Family{
		"query": {
			Doc: "Asks a URL (name), and fails unless the answer has the status, or its text holds match (a string, or a regular expression with " +
				"match_type: pcre). One of status and match is needed.",
			Params: query, Run: query1, Watch: query1,
		},
		"wait_for_successful_query": {
			Doc:    "Asks a URL again and again, for wait_for seconds, until the answer is good.",
			Params: append([]string{"request_interval"}, query...), Run: waitFor, Watch: waitFor,
		},
	}
}

// query is one question with what makes a good answer.
type query struct {
	method, url string
	body        string
	header      http.Header
	user, pass  string
	insecure    bool
	timeout     time.Duration
	match       *regex.Regexp
	literal     string
	statuses    []string
	statusRE    bool
}

// maxBody bounds what is read of an answer.
const maxBody = 8 << 20

func read(a *args.Reader, name string) *query {
	q := &query{
		method: strings.ToUpper(a.Text("method", "GET")), url: name, body: a.Text("data", ""), header: http.Header{}, user: a.Text("username", ""),
		pass: a.Text("password", ""), insecure: !a.Bool("verify_ssl", true), timeout: time.Duration(min(max(a.Int("timeout", 30), 1), 600)) * time.Second,
		statuses: a.List("status"),
	}
	u, err := url.Parse(name)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		a.Wrong("name: %q is no http or https URL", name)
	} else if params := a.Map("params"); params.Len() > 0 {
		values := u.Query()
		for k, v := range params.All() {
			values.Set(args.Text(k), args.Text(v))
		}
		u.RawQuery = values.Encode()
		q.url = u.String()
	}
	for k, v := range a.Map("header_dict").All() {
		q.header.Set(args.Text(k), args.Text(v))
	}
	for _, line := range a.List("header_list") {
		key, value, ok := strings.Cut(line, ":")
		if !ok {
			a.Wrong("header_list: %q is no NAME: VALUE", line)
		}
		q.header.Set(strings.TrimSpace(key), strings.TrimSpace(value))
	}
	q.conditions(a)
	for _, name := range []string{"decode", "text", "headers", "raise_error"} {
		a.Bool(name, false)
	}
	return q
}

func (q *query) conditions(a *args.Reader) {
	switch kind := a.Text("match_type", "string"); kind {
	case "string":
		q.literal = a.Text("match", "")
	case "pcre":
		re, err := regex.Compile(a.Text("match", ""), 0)
		if err != nil {
			a.Wrong("match: %v", err)
		}
		if a.Has("match") {
			q.match = re
		}
	default:
		a.Wrong("match_type: %q is neither string nor pcre", kind)
	}
	switch kind := a.Text("status_type", "string"); kind {
	case "string", "list":
	case "pcre":
		q.statusRE = true
	default:
		a.Wrong("status_type: %q is none of string, list, pcre", kind)
	}
	if !a.Has("match") && !a.Has("status") {
		a.Wrong("Either match text (match) or a status code (status) is required.")
	}
}

// ask gives what there is to say of the answer, and whether it is good. As in Salt, having asked is a change.
func (q *query) ask(ctx context.Context) (comment string, changes *data.Map, good bool) {
	ctx, cancel := context.WithTimeout(ctx, q.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, q.method, q.url, strings.NewReader(q.body))
	if err != nil {
		return err.Error(), nil, false
	}
	req.Header = q.header
	if q.user != "" {
		req.SetBasicAuth(q.user, q.pass)
	}
	client := &http.Client{Transport: &http.Transport{
		Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: q.insecure}, //nolint:gosec // verify_ssl: False says so
	}}
	res, err := client.Do(req)
	if err != nil {
		return err.Error(), nil, false
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxBody))
	if err != nil {
		return fmt.Sprintf("read answer: %v", err), nil, false
	}
	comment, good = q.judge(fmt.Sprint(res.StatusCode), string(body))
	return comment, data.NewMap("status", int64(res.StatusCode)), good
}

func (q *query) judge(status, body string) (comment string, good bool) {
	good = true
	var said []string
	if q.literal != "" || q.match != nil {
		found := q.literal != "" && strings.Contains(body, q.literal)
		if q.match != nil {
			m, err := q.match.Search(body)
			found = err == nil && m != nil
		}
		if found {
			said = append(said, "Match text found.")
		} else {
			said, good = append(said, "Match text was not found."), false
		}
	}
	if len(q.statuses) > 0 {
		found := false
		for _, want := range q.statuses {
			found = found || want == status
			if q.statusRE {
				re, err := regex.Compile(want, 0)
				if err != nil {
					continue
				}
				m, err := re.Match(status)
				found = found || err == nil && m != nil
			}
		}
		if found {
			said = append(said, fmt.Sprintf("Status %s was found.", status))
		} else {
			said, good = append(said, fmt.Sprintf("Status %s was not found: it is %s.", strings.Join(q.statuses, ", "), status)), false
		}
	}
	return strings.Join(said, " "), good
}

func open(c *state.Call, a *args.Reader) (*query, state.Result, bool) {
	q := read(a, c.Name)
	file := a.Text("data_file", "")
	if res, bad := a.Bad(); bad {
		return nil, res, true
	}
	if file != "" {
		info, err := os.Stat(file)
		if err != nil || info.Size() > maxBody {
			return nil, args.Failed("data_file %s is not there, or too large", file), true
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, args.Failed("%v", err), true
		}
		q.body = string(text)
	}
	return q, state.Result{}, false
}

// query1 asks once. With test=True it asks nothing unless asking changes nothing.
func query1(ctx context.Context, c *state.Call) state.Result {
	q, res, bad := open(c, args.Of(c))
	if bad {
		return res
	}
	if c.Test {
		return args.Would(nil, "%s would be asked by %s (TEST MODE)", q.url, q.method)
	}
	comment, changes, good := q.ask(ctx)
	res = args.Done(changes, "%s", comment)
	if !good {
		res.Verdict = state.False
	}
	return res
}

func waitFor(ctx context.Context, c *state.Call) state.Result {
	a := args.Of(c)
	limit := time.Duration(min(max(a.Int("wait_for", 300), 0), 86400)) * time.Second
	pause := time.Duration(min(max(a.Int("request_interval", 0), 0), 3600)) * time.Second
	q, res, bad := open(c, a)
	if bad {
		return res
	}
	if c.Test {
		return args.Would(nil, "%s would be asked by %s (TEST MODE)", q.url, q.method)
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	comment := "there was no time to ask"
	for {
		said, changes, good := q.ask(ctx)
		if good {
			return args.Done(changes, "%s", said)
		}
		if ctx.Err() == nil {
			comment = said
		}
		select {
		case <-ctx.Done():
			return args.Failed("%s", comment)
		case <-time.After(max(pause, 100*time.Millisecond)):
		}
	}
}
