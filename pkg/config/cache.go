package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Cache is what a minion keeps of the archives that it has fetched, so that going back to one downloads nothing.
type Cache struct {
	Archives string `yaml:"archives"` // how many, above zero
	Size     string `yaml:"size"`     // of all together, with a unit: 2GiB
}

// Limits gives both as numbers: archives and bytes.
func (c Cache) Limits() (archives int, bytes int64) {
	archives, _ = strconv.Atoi(c.Archives) //nolint:errcheck // it has passed its check
	bytes, _ = parseSize(c.Size)           //nolint:errcheck // the same
	return archives, bytes
}

func count(s string) error {
	if n, err := strconv.Atoi(s); err != nil || n < 1 {
		return fmt.Errorf("%q is not a number above 0", s)
	}
	return nil
}

func bytesSize(s string) error {
	_, err := parseSize(s)
	return err
}

// parseSize reads an amount of bytes, above zero. Units are powers of 1024, whether or not they have the i.
func parseSize(s string) (int64, error) {
	number, unit := s, int64(1)
	for i, letter := range "KMGT" {
		for _, end := range []string{string(letter), string(letter) + "B", string(letter) + "iB"} {
			if rest, ok := strings.CutSuffix(s, end); ok {
				number, unit = strings.TrimSpace(rest), 1<<(10*(i+1))
			}
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 1 || n > math.MaxInt64/unit {
		return 0, fmt.Errorf("%q is not a size such as 500MiB or 2GiB", s)
	}
	return n * unit, nil
}
