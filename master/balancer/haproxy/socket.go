package haproxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"strings"
	"syscall"
	"time"
)

const (
	maxAnswer   = 64 << 20 // bytes; a backend of 10,000 servers gives about 8 MiB
	maxAtOnce   = 4        // HAProxy's own default for all users of its sockets is 10
	unreachable = `is HAProxy running, and does its configuration have "stats socket ... level admin"?`
)

// socket is one admin socket. A connection lives for one line of commands.
type socket struct {
	path    string
	timeout time.Duration
	slots   chan struct{}
}

func newSocket(path string, timeout time.Duration) *socket {
	return &socket{path: path, timeout: timeout, slots: make(chan struct{}, maxAtOnce)}
}

// unreachableError says that HAProxy could not be asked. It may be starting, so asking again may help.
type unreachableError struct{ err error }

func (e *unreachableError) Error() string { return e.err.Error() }
func (e *unreachableError) Unwrap() error { return e.err }

func away(err error) bool {
	var e *unreachableError
	return errors.As(err, &e)
}

// refusal is HAProxy's own word on a command.
type refusal struct{ socket, text string }

func (e *refusal) Error() string {
	if strings.HasPrefix(e.text, "Permission denied") || strings.HasPrefix(e.text, "Unknown command") {
		return fmt.Sprintf(`balancer socket %s: %s: does its "stats socket" line say "level admin"?`, e.socket, e.text)
	}
	return fmt.Sprintf("balancer socket %s: HAProxy says: %s", e.socket, e.text)
}

func refused(err error, text string) bool {
	var r *refusal
	return errors.As(err, &r) && strings.HasPrefix(r.text, text)
}

// ask sends commands in one line and returns their answers. All of them are carried out; the first that HAProxy refuses
// is the error.
func (s *socket) ask(ctx context.Context, commands ...string) (string, error) {
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	answer, err := s.exchange(ctx, "set severity-output number;"+strings.Join(commands, ";")+"\n")
	if err != nil {
		return "", s.explain(err)
	}
	if text := complaint(answer); text != "" {
		return "", &refusal{s.path, text}
	}
	return answer, nil
}

func (s *socket) exchange(ctx context.Context, line string) (string, error) {
	network := "tcp"
	if strings.HasPrefix(s.path, "/") {
		network = "unix"
	}
	conn, err := new(net.Dialer).DialContext(ctx, network, s.path)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	if _, err := io.WriteString(conn, line); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(io.LimitReader(conn, maxAnswer))
	if err != nil {
		return "", err
	}
	// Every answer ends with an empty line; one that does not was cut short by HAProxy's end.
	if len(answer) == maxAnswer || !strings.HasSuffix(string(answer), "\n") {
		return "", io.ErrUnexpectedEOF
	}
	return string(answer), nil
}

// complaint finds the first answer of severity error in a text of answers. Severities are syslog's, in front of the
// message: "[3]: No such server."
func complaint(answers string) string {
	for line := range strings.Lines(answers) {
		line = strings.TrimSpace(line)
		if len(line) < 5 || line[0] != '[' || line[2:5] != "]: " {
			continue
		}
		if line[1] <= '3' || strings.HasPrefix(line[5:], "Unknown command") {
			text, _, _ := strings.Cut(line[5:], ", but maybe")
			return text
		}
	}
	return ""
}

func (s *socket) explain(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &unreachableError{fmt.Errorf("balancer socket %s: no such file: %s", s.path, unreachable)}
	case errors.Is(err, syscall.ECONNREFUSED):
		return &unreachableError{fmt.Errorf("balancer socket %s: connection refused: %s", s.path, unreachable)}
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf(`balancer socket %s: permission denied: give the master's user access with "stats socket ... user, group, mode"`, s.path)
	default:
		return &unreachableError{fmt.Errorf("balancer socket %s: ask HAProxy: %w", s.path, err)}
	}
}
