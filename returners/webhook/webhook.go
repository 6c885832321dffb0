// Package webhook is the returner that POSTs records to a URL, signed, as {"records": [...]}.
//
// A receiver computes HMAC-SHA256, keyed with the secret, over the value of X-Brine-Timestamp (seconds since 1970), a
// dot, and the body as it came; X-Brine-Signature is "sha256=" and that in hex. It compares the two in constant time and
// refuses old timestamps, so that nobody can send it a captured request again. It answers 2xx when it has the records
// safe. It may get a record twice and tells it by its seq.
package webhook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/pkg/registry"
	"github.com/brine-deploy/brine/returners"
)

// Config is the returner's section.
type Config struct {
	URL        string         `yaml:"url"`
	Secret     fleet.Secret   `yaml:"secret"`      // either this
	SecretFile string         `yaml:"secret_file"` // or a file that has it; white space around it does not count
	Timeout    fleet.Duration `yaml:"timeout"`     // of one request; 10 s when zero
}

// Plugin is this returner's line in the list.
func Plugin() registry.Plugin[returners.Returner] {
	return registry.Plugin[returners.Returner]{
		Name: "webhook",
		Help: "signed POST requests with JSON",
		New: func(s registry.Section, _ *slog.Logger) (returners.Returner, error) {
			var c Config
			if err := s.Decode(&c); err != nil {
				return nil, err
			}
			return New(c)
		},
	}
}

// Webhook POSTs records.
type Webhook struct {
	url    *url.URL
	secret []byte
	client *http.Client
}

var _ returners.Returner = (*Webhook)(nil)

// New makes the returner and reads its secret. It does not connect.
func New(c Config) (*Webhook, error) {
	u, err := url.Parse(c.URL)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, errors.New("url: it has to begin with http:// or https:// and a host")
	}
	secret, err := c.secret()
	if err != nil {
		return nil, err
	}
	return &Webhook{url: u, secret: secret, client: &http.Client{
		Transport: http.DefaultTransport.(*http.Transport).Clone(),
		Timeout:   c.Timeout.Or(10 * time.Second),
		// A redirected POST would arrive as a GET without the records.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

func (c Config) secret() ([]byte, error) {
	if (c.Secret == "") == (c.SecretFile == "") {
		return nil, errors.New("give either secret or secret_file")
	}
	text := c.Secret.Reveal()
	if c.SecretFile != "" {
		b, err := os.ReadFile(c.SecretFile)
		if err != nil {
			return nil, fmt.Errorf("secret_file: %w", err)
		}
		text = strings.TrimSpace(string(b))
	}
	if text == "" {
		return nil, fmt.Errorf("secret_file: %s is empty", c.SecretFile)
	}
	return []byte(text), nil
}

// maxBody bounds a request that has more than one record: receivers refuse large ones, nginx those over 1 MiB.
const maxBody = 512 << 10

// Deliver POSTs the records, in one request or more.
func (w *Webhook) Deliver(ctx context.Context, records []fleet.Record) error {
	var bodies [][]json.RawMessage
	size := maxBody
	for _, record := range records {
		b, err := json.Marshal(record)
		if err != nil {
			return fmt.Errorf("encode record %d: %w", record.Seq, err)
		}
		if size += len(b); size > maxBody {
			bodies, size = append(bodies, nil), len(b)
		}
		last := &bodies[len(bodies)-1]
		*last = append(*last, b)
	}
	for _, part := range bodies {
		if err := w.post(ctx, part); err != nil {
			return fmt.Errorf("post to %s: %w", w.url.Host, err)
		}
	}
	return nil
}

// Close gives up idle connections.
func (w *Webhook) Close() error {
	w.client.CloseIdleConnections()
	return nil
}

func (w *Webhook) post(ctx context.Context, records []json.RawMessage) error {
	body, err := json.Marshal(map[string]any{"records": records})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url.String(), bytes.NewReader(body))
	if err != nil {
		return err
	}
	timestamp := strconv.FormatInt(time.Now().Unix(), 10)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "brine")
	req.Header.Set("X-Brine-Timestamp", timestamp)
	req.Header.Set("X-Brine-Signature", sign(w.secret, timestamp, body))
	resp, err := w.client.Do(req)
	if err != nil {
		return withoutURL(err)
	}
	defer func() { _ = resp.Body.Close() }() // read only
	answer, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
	return judge(resp.StatusCode, answer)
}

// judge says what an answer means.
func judge(status int, answer []byte) error {
	if status/100 == 2 {
		return nil
	}
	first, _, _ := strings.Cut(strings.TrimSpace(string(answer)), "\n")
	err := fmt.Errorf("%d %s: %.200q", status, http.StatusText(status), first)
	busy := status == http.StatusRequestTimeout || status == http.StatusTooManyRequests
	if status/100 == 5 || busy {
		return err
	}
	return fmt.Errorf("%w: %w", returners.ErrRefused, err)
}

// withoutURL leaves out the URL, which may hold a secret, as those of chat services do.
func withoutURL(err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		return wrapped.Err
	}
	return err
}

func sign(secret []byte, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, secret)
	_, _ = mac.Write([]byte(timestamp + ".")) // never fails
	_, _ = mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}
