package master

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/brine-deploy/brine/master/journal"
	"github.com/brine-deploy/brine/pkg/config"
	"github.com/brine-deploy/brine/pkg/fleet"
)

// maxRequest bounds the body of an API request.
const maxRequest = 1 << 20

type callerKey struct{}

// handler serves one request: what it returns is the answer, and an error becomes a fleet.Problem.
type handler func(ctx context.Context, r *http.Request) (any, error)

// listenAPI opens the Unix socket. A socket that a dead master left behind is replaced, one of a living master is not.
func listenAPI(cfg config.API) (net.Listener, error) {
	if conn, err := net.Dial("unix", cfg.Socket); err == nil {
		_ = conn.Close()
		return nil, fmt.Errorf("api socket %s: another master listens there", cfg.Socket)
	}
	if err := os.Remove(cfg.Socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("remove old api socket: %w", err)
	}
	mode, err := strconv.ParseUint(cfg.Mode, 8, 9)
	if err != nil {
		return nil, fmt.Errorf("api.mode %q is not an octal file mode", cfg.Mode)
	}
	l, err := net.Listen("unix", cfg.Socket)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("api.socket: the directory %s does not exist: make it, or set api.socket in master.yml", filepath.Dir(cfg.Socket))
	}
	if err != nil {
		return nil, fmt.Errorf("listen on api socket: %w", err)
	}
	if err := errors.Join(os.Chmod(cfg.Socket, os.FileMode(mode)), chgrp(cfg.Socket, cfg.Group)); err != nil {
		return nil, errors.Join(fmt.Errorf("api socket: %w", err), l.Close())
	}
	return l, nil
}

func chgrp(path, group string) error {
	if group == "" {
		return nil
	}
	g, err := user.LookupGroup(group)
	if err != nil {
		return fmt.Errorf("api.group: %w", err)
	}
	gid, err := strconv.Atoi(g.Gid)
	if err != nil {
		return fmt.Errorf("api.group %s: %w", group, err)
	}
	return os.Chown(path, -1, gid)
}

// withCaller keeps who is at the other end of the socket, as the kernel says.
func withCaller(ctx context.Context, c net.Conn) context.Context {
	uc, ok := c.(*net.UnixConn)
	if !ok {
		return ctx
	}
	raw, err := uc.SyscallConn()
	if err != nil {
		return ctx
	}
	name := "unknown"
	_ = raw.Control(func(fd uintptr) {
		if cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			name = "uid " + strconv.Itoa(int(cred.Uid))
			if u, err := user.LookupId(strconv.Itoa(int(cred.Uid))); err == nil {
				name = u.Username
			}
		}
	})
	return context.WithValue(ctx, callerKey{}, name)
}

func caller(ctx context.Context) string {
	name, _ := ctx.Value(callerKey{}).(string)
	return name
}

// serveJSON answers with what h gives, as JSON.
func serveJSON(log *slog.Logger, h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxRequest)
		value, err := h(r.Context(), r)
		w.Header().Set("Content-Type", "application/json")
		if err != nil {
			status, problem := problemOf(err)
			if status == http.StatusInternalServerError {
				log.Error("api request", "path", r.URL.Path, "by", caller(r.Context()), "error", err)
			}
			w.WriteHeader(status)
			value = problem
		}
		if err := json.NewEncoder(w).Encode(value); err != nil {
			log.Debug("api answer not sent", "path", r.URL.Path, "error", err)
		}
	}
}

// problemOf makes an error something that the CLI can show.
func problemOf(err error) (int, *fleet.Problem) {
	var p *fleet.Problem
	switch {
	case errors.As(err, &p):
		if p.Exit == fleet.ExitLocked {
			return http.StatusConflict, p
		}
		return http.StatusUnprocessableEntity, p
	case errors.Is(err, journal.ErrNotFound):
		return http.StatusNotFound, &fleet.Problem{Message: err.Error(), Exit: fleet.ExitFailed}
	case isUserFile(err):
		return http.StatusUnprocessableEntity, &fleet.Problem{Message: err.Error(), Exit: fleet.ExitUsage}
	default:
		return http.StatusInternalServerError, &fleet.Problem{Message: err.Error(), Exit: fleet.ExitFailed}
	}
}

func decode[T any](r *http.Request) (T, error) {
	var v T
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&v); err != nil {
		return v, &fleet.Problem{Message: "request: " + err.Error(), Exit: fleet.ExitUsage}
	}
	return v, nil
}

// stream writes JSON lines. next gives what is new, and says whether that was all; changed is closed when there is more.
func stream[T any](w http.ResponseWriter, r *http.Request, changed func() <-chan struct{}, next func(context.Context) ([]T, bool, error)) {
	ctx := r.Context()
	follow := r.URL.Query().Get("follow") == "true"
	enc := json.NewEncoder(w)
	started := false
	for {
		more := changed()
		items, last, err := next(ctx)
		if err != nil && !started {
			status, problem := problemOf(err)
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_ = enc.Encode(problem)
			return
		}
		if err != nil {
			return
		}
		if !started {
			w.Header().Set("Content-Type", "application/x-ndjson")
			w.WriteHeader(http.StatusOK)
			started = true
		}
		for _, item := range items {
			if enc.Encode(item) != nil {
				return
			}
		}
		if f, ok := w.(http.Flusher); ok {
			f.Flush()
		}
		if last || !follow {
			return
		}
		select {
		case <-more:
		case <-time.After(time.Second): // deadlines pass without a record
		case <-ctx.Done():
			return
		}
	}
}
