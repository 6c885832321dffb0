package config

import (
	"fmt"
	"time"
)

const (
	defaultHeartbeat = "15s"
	heartbeatHelp    = "time between heartbeats on the bus; without a word for three of them, a connection is dead"
	shortHeartbeat   = time.Second // less would be taken for silence on a busy machine
	longHeartbeat    = 10 * time.Minute
)

// interval wants the time between heartbeats.
func interval(s string) error {
	if d, err := time.ParseDuration(s); err != nil || d < shortHeartbeat || d > longHeartbeat {
		return fmt.Errorf("%q is not a duration from 1s to 10m, such as %s", s, defaultHeartbeat)
	}
	return nil
}

// durationOf gives a duration that has passed its check, and zero for none.
func durationOf(s string) time.Duration {
	d, _ := time.ParseDuration(s) //nolint:errcheck // see above
	return d
}
