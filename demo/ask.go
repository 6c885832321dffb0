package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

func (s *stage) command(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, filepath.Join(s.bin, "brine"), append([]string{"--socket", filepath.Join(s.dir, "api.sock")}, args...)...)
}

// brine runs the CLI as a person would, and shows what it prints.
func (s *stage) brine(ctx context.Context, exit int, args ...string) error {
	fmt.Println("$ brine " + strings.Join(args, " "))
	cmd := s.command(ctx, args...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stdout
	err := cmd.Run()
	var failed *exec.ExitError
	switch {
	case err == nil && exit == 0:
		return nil
	case errors.As(err, &failed) && failed.ExitCode() == exit:
		fmt.Printf("(exit code %d, as it should be)\n", exit)
		return nil
	case err == nil:
		return fmt.Errorf("brine %s: exit code 0, expected %d", args[0], exit)
	default:
		return fmt.Errorf("brine %s: %w", args[0], err)
	}
}

// ask runs the CLI for the demo's own use.
func (s *stage) ask(ctx context.Context, args ...string) ([]byte, error) {
	return s.command(ctx, append(args, "--output", "json")...).Output()
}

func (s *stage) askJSON(ctx context.Context, out any, args ...string) error {
	text, err := s.ask(ctx, args...)
	if err != nil {
		return fmt.Errorf("brine %s: %w", strings.Join(args, " "), err)
	}
	return json.NewDecoder(bytes.NewReader(text)).Decode(out)
}

type status struct {
	Connected int `json:"connected"`
	Groups    []struct {
		Minions []struct {
			Minion string `json:"minion"`
			Pool   string `json:"pool"`
		} `json:"minions"`
	} `json:"groups"`
}

func (s *stage) connected(ctx context.Context) int {
	var st status
	if err := s.askJSON(ctx, &st, "status"); err != nil {
		return 0
	}
	return st.Connected
}

func (s *stage) pool(ctx context.Context) map[string]string {
	var st status
	pool := map[string]string{}
	if err := s.askJSON(ctx, &st, "status"); err != nil {
		return pool
	}
	for _, g := range st.Groups {
		for _, m := range g.Minions {
			pool[m.Minion] = m.Pool
		}
	}
	return pool
}

func (s *stage) invite() {
	say("It goes on running; Ctrl-C ends it")
	fmt.Printf("alias brine='%s --socket %s'\n", filepath.Join(s.bin, "brine"), filepath.Join(s.dir, "api.sock"))
	fmt.Printf("brine status; brine run '*' test.ping; brine deploy shop production --ref v1; brine rollback shop production; brine history\n")
	fmt.Printf("curl http://127.0.0.1:%s/        the shop, through the load balancer\n", s.front)
	fmt.Printf("curl http://127.0.0.1:%s/metrics the master's metrics\n", s.http)
	fmt.Printf("%s has the configuration, the git repository and the logs\n", s.dir)
}

// tell sums up; a single failed request makes the demo fail.
func (s *stage) tell(t tally, took time.Duration) error {
	say("What the users of the shop saw")
	fmt.Printf("%d requests in %s, %d failed\n", t.requests, t.took.Round(time.Second), t.failed)
	for _, v := range t.versions() {
		fmt.Printf("  %-8s %d answers\n", v, t.answers[v])
	}
	fmt.Printf("The whole demo took %s.\n", took.Round(time.Second))
	if t.failed > 0 {
		return fmt.Errorf("%d requests failed; the first: %s", t.failed, t.first)
	}
	return nil
}
