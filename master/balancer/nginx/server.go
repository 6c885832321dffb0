package nginx

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// errNotRunning says that there is no nginx to be asked.
var errNotRunning = errors.New("nginx does not run")

// leaving is in the title that a worker gives itself when it only finishes what it has.
const leaving = "is shutting down"

// server is the processes of one nginx.
type server struct {
	binary, config, pidFile string
}

func (s server) command(ctx context.Context, args ...string) *exec.Cmd {
	if s.config != "" {
		args = append([]string{"-c", s.config}, args...)
	}
	return exec.CommandContext(ctx, s.binary, args...)
}

// test lets nginx check its configuration. The error has its words.
func (s server) test(ctx context.Context) error {
	out, err := s.command(ctx, "-t", "-q").CombinedOutput()
	if err != nil {
		return fmt.Errorf("nginx -t: %w: %s", err, strings.Join(strings.Fields(string(out)), " "))
	}
	return nil
}

// master is the process that workers come from.
func (s server) master() (int, error) {
	text, err := os.ReadFile(s.pidFile)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("%w: %s does not exist", errNotRunning, s.pidFile)
	}
	if err != nil {
		return 0, err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || pid < 2 || syscall.Kill(pid, 0) != nil {
		return 0, fmt.Errorf("%w: nobody has the number in %s", errNotRunning, s.pidFile)
	}
	return pid, nil
}

// workers lists the worker processes, and whether each is leaving.
func (s server) workers() (map[int]bool, error) {
	master, err := s.master()
	if err != nil {
		return nil, err
	}
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	found := map[int]bool{}
	for _, dir := range dirs {
		stat, err := os.ReadFile(dir + "/stat")
		if err != nil {
			continue // it ended meanwhile
		}
		_, rest, _ := strings.Cut(string(stat), ") ") // state and parent follow the name
		fields := strings.Fields(rest)
		if len(fields) < 2 || fields[0] == "Z" || fields[1] != strconv.Itoa(master) {
			continue
		}
		title, _ := os.ReadFile(dir + "/cmdline")
		if pid, err := strconv.Atoi(filepath.Base(dir)); err == nil && bytes.Contains(title, []byte("worker process")) {
			found[pid] = bytes.Contains(title, []byte(leaving))
		}
	}
	return found, nil
}

// reload makes nginx read its files again, and returns once workers serve that have read them. nginx tells nobody when it
// keeps to what it had: then no new worker comes.
func (s server) reload(ctx context.Context) error {
	before, err := s.workers()
	if err != nil {
		return err
	}
	master, err := s.master()
	if err != nil {
		return err
	}
	if err := syscall.Kill(master, syscall.SIGHUP); err != nil {
		return fmt.Errorf("%w: %w", errNotRunning, err)
	}
	return poll(ctx, func() (bool, error) {
		now, err := s.workers()
		if err != nil {
			return false, err
		}
		fresh, stale := false, false
		for pid, leaves := range now {
			_, old := before[pid]
			fresh = fresh || !old
			stale = stale || old && !leaves
		}
		return fresh && !stale, nil
	})
}

// holding lists the leaving workers that have a connection to an address.
func (s server) holding(address string) ([]int, error) {
	workers, err := s.workers()
	if errors.Is(err, errNotRunning) {
		return nil, nil // with it went its connections
	}
	if err != nil {
		return nil, err
	}
	sockets, err := connections(address)
	if err != nil || len(sockets) == 0 {
		return nil, err
	}
	var out []int
	for pid, leaves := range workers {
		if leaves && hasSocket(pid, sockets) {
			out = append(out, pid)
		}
	}
	slices.Sort(out)
	return out, nil
}

func hasSocket(pid int, sockets map[string]bool) bool {
	links, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil {
		return false
	}
	for _, link := range links {
		if to, err := os.Readlink(link); err == nil && sockets[to] {
			return true
		}
	}
	return false
}

// connections finds the sockets of this host that are connected to an address: "socket:[inode]".
func connections(address string) (map[string]bool, error) {
	want, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, fmt.Errorf("address %q: %w", address, err)
	}
	found := map[string]bool{}
	for _, file := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		f, err := os.Open(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for lines := bufio.NewScanner(f); lines.Scan(); {
			// sl local_address rem_address st ... inode; see proc(5).
			fields := strings.Fields(lines.Text())
			if len(fields) < 10 || fields[3] != "01" { // ESTABLISHED
				continue
			}
			if remote, ok := kernelAddress(fields[2]); ok && remote == want {
				found["socket:["+fields[9]+"]"] = true
			}
		}
		if err := f.Close(); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// kernelAddress reads an address as /proc/net/tcp has it: words in the byte order of the host, in hexadecimal.
func kernelAddress(text string) (netip.AddrPort, bool) {
	ip, port, ok := strings.Cut(text, ":")
	raw, err := hex.DecodeString(ip)
	number, perr := strconv.ParseUint(port, 16, 16)
	if !ok || err != nil || perr != nil || len(raw)%4 != 0 {
		return netip.AddrPort{}, false
	}
	for i := 0; i < len(raw); i += 4 {
		binary.BigEndian.PutUint32(raw[i:], binary.NativeEndian.Uint32(raw[i:]))
	}
	addr, ok := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(addr.Unmap(), uint16(number)), ok
}

// poll asks again and again until done says so or ctx is done.
func poll(ctx context.Context, done func() (bool, error)) error {
	for {
		ok, err := done()
		if ok || err != nil {
			return err
		}
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
