package cloud

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// WebhookConfig is the section of a cloud of type webhook.
type WebhookConfig struct {
	URL       string         `yaml:"url"`
	TokenFile string         `yaml:"token_file"` // holds what is sent as "Authorization: Bearer ..."
	Timeout   fleet.Duration `yaml:"timeout"`    // for one try; 10 s when zero
	Tries     int            `yaml:"tries"`      // 5 when zero, a second apart, then two, four...
}

// Webhook posts {"minion", "event", "reason", "grains"} to a URL, with the events in, failed and left. An answer that is
// not 2xx is tried again.
type Webhook struct {
	cfg    WebhookConfig
	client *http.Client
	first  time.Duration // pause after the first try
}

var _ Cloud = (*Webhook)(nil)

// NewWebhook checks the configuration; it calls nobody yet.
func NewWebhook(c WebhookConfig) (*Webhook, error) {
	if u, err := url.Parse(c.URL); err != nil || u.Host == "" {
		return nil, fmt.Errorf("url %q is no URL", c.URL)
	}
	if c.Tries < 0 {
		return nil, errors.New("tries is below zero")
	}
	if c.Tries == 0 {
		c.Tries = 5
	}
	if c.TokenFile != "" {
		if _, err := os.Stat(c.TokenFile); err != nil {
			return nil, fmt.Errorf("token_file: %w", err)
		}
	}
	return &Webhook{
		cfg: c, first: time.Second,
		client: &http.Client{Timeout: c.Timeout.Or(10 * time.Second), Transport: &http.Transport{DisableKeepAlives: true, Proxy: http.ProxyFromEnvironment}},
	}, nil
}

// Tell implements Cloud.
func (w *Webhook) Tell(ctx context.Context, m fleet.Minion, news News, reason string) error {
	if news == Installing {
		return nil
	}
	body, err := json.Marshal(map[string]any{"minion": m.ID, "event": news, "reason": reason, "grains": m.Grains})
	if err != nil {
		return fmt.Errorf("encode news of %s: %w", m.ID, err)
	}
	wait := w.first
	for range w.cfg.Tries - 1 {
		if err = w.post(ctx, body); err == nil {
			return nil
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
		wait *= 2
	}
	return w.post(ctx, body)
}

func (w *Webhook) post(ctx context.Context, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.cfg.URL, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	if w.cfg.TokenFile != "" {
		token, err := os.ReadFile(w.cfg.TokenFile)
		if err != nil {
			return fmt.Errorf("token_file: %w", err)
		}
		req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	}
	resp, err := w.client.Do(req)
	if err != nil {
		return err
	}
	_ = resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s answered %s", w.cfg.URL, resp.Status)
	}
	return nil
}
