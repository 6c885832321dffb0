package process

import (
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// endGroup sends TERM to a process group and KILL when something of it is left after the grace.
func endGroup(pgid int, grace time.Duration) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		_ = syscall.Kill(-pgid, sig) // gone is as good
		for limit := time.Now().Add(grace); groupLives(pgid) && time.Now().Before(limit); {
			time.Sleep(10 * time.Millisecond)
		}
		if !groupLives(pgid) {
			return
		}
	}
}

func groupLives(pgid int) bool { return !errors.Is(syscall.Kill(-pgid, 0), syscall.ESRCH) }

// EndMarked ends whatever still runs of a script, wherever it went: the mark is in its environment. TERM, the grace, KILL.
// It finds nothing of other users unless the caller is root. The empty mark ends nothing.
func EndMarked(mark string, grace time.Duration) {
	if mark == "" {
		return
	}
	for _, pgid := range marked(mark) {
		endGroup(pgid, grace)
	}
}

// marked lists the process groups in which a process has the mark.
func marked(mark string) []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var groups []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		env, err := os.ReadFile("/proc/" + e.Name() + "/environ")
		if err != nil || !slices.Contains(strings.Split(string(env), "\x00"), mark) {
			continue
		}
		if pgid, err := syscall.Getpgid(pid); err == nil && pgid > 1 && pgid != syscall.Getpgrp() && !slices.Contains(groups, pgid) {
			groups = append(groups, pgid)
		}
	}
	return groups
}
