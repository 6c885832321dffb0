package master

import "testing"

func TestASmallHeapIsCollectedSeldom(t *testing.T) {
	for _, c := range []struct {
		live  uint64
		usual int
		want  int
	}{{0, 100, 800}, {8 << 20, 100, 800}, {16 << 20, 100, 400}, {100 << 20, 100, 100}, {100 << 20, 50, 50}, {1 << 40, 200, 200}} {
		if got := collectAt(c.live, c.usual); got != c.want {
			t.Errorf("%d MiB: %d %%, want %d", c.live>>20, got, c.want)
		}
	}
}
