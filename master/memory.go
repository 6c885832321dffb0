package master

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// headroom is how much garbage there may be, at least, before it is collected. With a small heap and thousands of
	// connections the collector would otherwise run all the time while jobs go out, and look at each stack each time.
	headroom = 64 << 20
	tidyEach = 5 * time.Second
	// mess is how much garbage is worth a collection when nothing else is to be done.
	mess = 16 << 20
)

// tidy sets how often garbage is collected while there is work, and gives memory back to the system when the work is done.
// A limit of memory (GOMEMLIMIT) holds all the same.
func tidy(ctx context.Context) {
	before := debug.SetGCPercent(100)
	percent := before
	defer func() { debug.SetGCPercent(before) }()
	if before < 0 { // the environment says so
		return
	}
	var last, clean uint64 // bytes ever allocated: the last time, and when memory was given back
	for ctx.Err() == nil {
		live, allocated := heap()
		if next := collectAt(live, before); next != percent {
			percent = next
			debug.SetGCPercent(percent)
		}
		if allocated-last < max(live, mess)/4 && allocated-clean > mess { // heartbeats and little else
			debug.FreeOSMemory()
			clean = allocated
		}
		last = allocated
		sleep(ctx, tidyEach)
	}
}

// collectAt is how many percent of what is live may be garbage; usual is that of a heap that is large enough.
func collectAt(live uint64, usual int) int {
	percent := int(headroom * 100 / max(live, headroom/8))
	return max(usual, percent-percent%50)
}

// heap tells what is live and how much was ever allocated, in bytes.
func heap() (live, allocated uint64) {
	samples := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(samples)
	return samples[0].Value.Uint64(), samples[1].Value.Uint64()
}
