package wire

import "testing"

func BenchmarkEncodeJob(b *testing.B) {
	job := Job{Seq: 7, Body: make([]byte, 1200), Sig: make([]byte, 276)}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Encode(job); err != nil {
			b.Fatal(err)
		}
	}
}
