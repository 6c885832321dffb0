package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

// web is the service that is deployed to real minions: it runs in a release, whose file version it answers with. With the
// word check it waits until the service says so.
func web(ctx context.Context, args []string) error {
	version, err := os.ReadFile("version")
	if err != nil {
		return fmt.Errorf("read version: %w", err)
	}
	port, err := os.ReadFile("port")
	if err != nil {
		return fmt.Errorf("read port: %w", err)
	}
	address := strings.TrimSpace(string(port))
	if len(args) > 0 {
		return until(ctx, "the service is there", func() bool {
			text, err := get(ctx, http.DefaultClient, "http://"+address+"/")
			return err == nil && text == string(version)
		})
	}
	srv := &http.Server{Addr: address, ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Write(version) //nolint:errcheck // the client will tell
	})}
	finished := make(chan struct{})
	context.AfterFunc(ctx, func() {
		defer close(finished)
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if srv.Shutdown(bounded) != nil {
			srv.Close() //nolint:errcheck // it ends
		}
	})
	if err := srv.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	<-finished
	return nil
}

// get asks once; anything but 200 is an error.
func get(ctx context.Context, client *http.Client, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", fmt.Errorf("make request: %w", err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, body)
	}
	return string(body), err
}
