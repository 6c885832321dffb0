package haproxy

import (
	"encoding/csv"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/brine-deploy/brine/master/balancer"
)

// server is what HAProxy says of one server of a backend.
type server struct {
	address netip.AddrPort
	op      int    // operational state
	admin   int    // administrative state, a mask
	checks  int    // state of its health check, a mask
	open    int    // requests (of a TCP backend: connections) on it or in its queue
	status  string // as people see it: "UP", "DOWN 1/2", "MAINT"
	last    string // last health check: "L7STS/503"
}

// States and masks of "show servers state", as HAProxy's management guide names them.
const (
	opStopped  = 0
	opStopping = 3 // by a 404 of disable-on-404

	adminMaint = 0x01 | 0x02 | 0x20 // forced, inherited, no address; 0x04 only says that the configuration once did
	adminDrain = 0x08 | 0x10

	checkConfigured = 0x02
)

func (s server) maint() bool    { return s.admin&adminMaint != 0 }
func (s server) draining() bool { return !s.maint() && s.admin&adminDrain != 0 }
func (s server) ready() bool    { return !s.maint() && !s.draining() }
func (s server) checked() bool  { return s.checks&checkConfigured != 0 }

// healthy needs a check that passed. HAProxy calls a server UP from its start on, before the first check.
func (s server) healthy() bool {
	if s.op == opStopped || s.op == opStopping {
		return false
	}
	return !s.checked() || strings.Contains(s.last, "OK")
}

// standing is s in the words of the contract.
func (s server) standing() balancer.Status {
	switch {
	case s.maint() && s.open == 0:
		return balancer.Out
	case s.maint(), s.draining(), s.ready() && s.op == opStopping:
		return balancer.Draining
	case s.op == opStopped:
		return balancer.Down
	case !s.healthy():
		return balancer.Checking
	}
	return balancer.Up
}

var errAnswer = errors.New("unexpected answer")

// parseServers reads the answers to "show servers state" and "show stat" of one backend, in this order.
func parseServers(answers, backend string) (map[string]server, error) {
	states, stats, ok := strings.Cut(answers, "# pxname,")
	if !ok {
		return nil, fmt.Errorf("%w: no statistics in it", errAnswer)
	}
	servers, err := parseStates(states, backend)
	if err != nil {
		return nil, err
	}
	return servers, addStats(servers, "pxname,"+stats, backend)
}

func parseStates(text, backend string) (map[string]server, error) {
	servers := map[string]server{}
	var columns map[string]int
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) > 1 && fields[0] == "#" {
			columns = index(fields[1:])
			continue
		}
		if len(fields) < 2 {
			continue // the version and empty lines
		}
		get := getter(columns, fields)
		if get("be_name") != backend {
			continue
		}
		s := server{op: number(get("srv_op_state")), admin: number(get("srv_admin_state")), checks: number(get("srv_check_state"))}
		if s.op < 0 || s.admin < 0 || s.checks < 0 || get("srv_name") == "" {
			return nil, fmt.Errorf("%w: server state %q", errAnswer, strings.TrimSpace(line))
		}
		if ip, err := netip.ParseAddr(get("srv_addr")); err == nil {
			s.address = netip.AddrPortFrom(ip.Unmap(), uint16(max(0, number(get("srv_port"))))) //nolint:gosec // a port
		}
		servers[get("srv_name")] = s
	}
	if columns == nil {
		return nil, fmt.Errorf("%w: no server states in it", errAnswer)
	}
	return servers, nil
}

func addStats(servers map[string]server, text, backend string) error {
	r := csv.NewReader(strings.NewReader(text))
	r.LazyQuotes, r.FieldsPerRecord = true, -1
	rows, err := r.ReadAll()
	if err != nil {
		return fmt.Errorf("%w: %w", errAnswer, err)
	}
	columns, seen := index(rows[0]), 0
	for _, row := range rows[1:] {
		get := getter(columns, row)
		s, known := servers[get("svname")]
		if get("pxname") != backend || !known {
			continue
		}
		open, queued := number(get("scur")), number(get("qcur"))
		if open < 0 || queued < 0 {
			return fmt.Errorf("%w: server %s has no number of sessions", errAnswer, get("svname"))
		}
		s.open, s.status = open+queued, get("status")
		s.last = strings.TrimPrefix(get("check_status"), "* ")
		if code := get("check_code"); code != "" {
			s.last += "/" + code
		}
		servers[get("svname")] = s
		seen++
	}
	if seen < len(servers) {
		return fmt.Errorf("%w: statistics of %d servers, states of %d", errAnswer, seen, len(servers))
	}
	return nil
}

func index(names []string) map[string]int {
	columns := make(map[string]int, len(names))
	for i, name := range names {
		columns[name] = i
	}
	return columns
}

func getter(columns map[string]int, fields []string) func(string) string {
	return func(name string) string {
		if i, ok := columns[name]; ok && i < len(fields) {
			return fields[i]
		}
		return ""
	}
}

// number returns -1 for what is none.
func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return -1
	}
	return n
}
