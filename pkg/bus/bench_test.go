package bus

import (
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"
)

// BenchmarkFleet publishes 1 KiB to each of many minions, one message each, until all have it. Both ends run here.
func BenchmarkFleet(b *testing.B) {
	for _, n := range []int{100, 1000, 5000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) { benchmarkFleet(b, n) })
	}
}

func benchmarkFleet(b *testing.B, n int) {
	m := startMaster(b, func(cfg *ServerConfig) { cfg.Limits.HandshakesPerAddress = 1000 })
	heap := heapInUse()
	start := time.Now()
	clients := make([]*Client, n)
	var dials sync.WaitGroup
	slots := make(chan struct{}, 64)
	for i := range n {
		key := m.accept(b, fmt.Sprint("minion-", i))
		dials.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			clients[i] = m.dial(b, key)
		})
	}
	dials.Wait()
	waitFor(b, "all are connected", func() bool { return m.Stats().Connected == n })
	connected, memory := time.Since(start), heapInUse()-heap
	body := make([]byte, 1<<10)
	var got sync.WaitGroup
	for _, c := range clients {
		go func() {
			for {
				if _, err := c.Recv(b.Context()); err != nil {
					return
				}
				got.Done()
			}
		}()
	}
	var sending time.Duration
	for b.Loop() {
		got.Add(n)
		start := time.Now()
		for i := range n {
			if err := m.Send(fmt.Sprint("minion-", i), body); err != nil {
				b.Fatal(err)
			}
		}
		sending += time.Since(start)
		got.Wait()
	}
	b.ReportMetric(connected.Seconds(), "s-to-connect")
	b.ReportMetric(float64(memory)/float64(n)/1024, "KiB/peer-both-ends")
	b.ReportMetric(float64(sending.Milliseconds())/float64(b.N), "ms-to-send")
}

func heapInUse() int64 {
	runtime.GC()
	var ms runtime.MemStats
	runtime.ReadMemStats(&ms)
	return int64(ms.HeapInuse + ms.StackInuse)
}
