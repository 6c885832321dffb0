package fetch

import (
	"bufio"
	"context"
	"crypto/md5"  //nolint:gosec // users may only have an MD5 sum of what they fetch
	"crypto/sha1" //nolint:gosec // as above
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"path"
	"regexp"
	"strings"

	"github.com/brine-deploy/brine/states/state"
)

// Sum is a checksum that a file should have.
type Sum struct {
	Kind string // md5, sha1, sha224, sha256, sha384 or sha512
	Hex  string // lower case
}

// Given reports whether there is one.
func (s Sum) Given() bool { return s.Hex != "" }

// kinds are the checksums by the length of their hex digits.
var kinds = map[int]string{32: "md5", 40: "sha1", 56: "sha224", 64: "sha256", 96: "sha384", 128: "sha512"} //nolint:gochecknoglobals // a table

func (s Sum) new() hash.Hash {
	switch s.Kind {
	case "md5":
		return md5.New() //nolint:gosec // as above
	case "sha1":
		return sha1.New() //nolint:gosec // as above
	case "sha224":
		return sha256.New224()
	case "sha384":
		return sha512.New384()
	case "sha512":
		return sha512.New()
	default:
		return sha256.New()
	}
}

// Of is the sum of the same kind of what r gives.
func (s Sum) Of(r io.Reader) (Sum, error) {
	h := s.new()
	if _, err := io.Copy(h, r); err != nil {
		return Sum{}, fmt.Errorf("compute %s: %w", s.Kind, err)
	}
	return Sum{Kind: s.Kind, Hex: hex.EncodeToString(h.Sum(nil))}, nil
}

// ParseSum reads "sha256=HEX", "sha256:HEX", or HEX alone.
func ParseSum(text string) (Sum, bool) {
	kind, digits, named := strings.Cut(strings.TrimSpace(text), "=")
	if !named {
		kind, digits, named = strings.Cut(strings.TrimSpace(text), ":")
	}
	if !named {
		kind, digits = "", text
	}
	digits = strings.ToLower(strings.TrimSpace(digits))
	if _, err := hex.DecodeString(digits); err != nil {
		return Sum{}, false
	}
	implied, ok := kinds[len(digits)]
	if !ok || named && !strings.EqualFold(strings.TrimSpace(kind), implied) {
		return Sum{}, false
	}
	return Sum{Kind: implied, Hex: digits}, true
}

// SumOf understands source_hash: a checksum, or where a file of checksums is, in which the line that names the source (or
// name, if given) counts; when no line does, the first checksum of all. dest is the name that the file will have.
func SumOf(ctx context.Context, h *state.Host, sourceHash, source, name, dest string) (Sum, error) {
	if sourceHash == "" {
		return Sum{}, nil
	}
	if sum, ok := ParseSum(sourceHash); ok {
		return sum, nil
	}
	if !strings.Contains(sourceHash, "://") && !path.IsAbs(sourceHash) {
		return Sum{}, fmt.Errorf("Source hash %s format is invalid. The supported formats are: 1) a hash, 2) an expression in the "+ //nolint:staticcheck // Salt's words
			"format <hash_type>=<hash>, or 3) either a path to a local file containing hashes, or a URI of a remote hash file", sourceHash)
	}
	blob, err := Get(ctx, h, sourceHash, Sum{})
	if err != nil {
		return Sum{}, fmt.Errorf("Source hash file %s not found: %w", sourceHash, err) //nolint:staticcheck // Salt's words
	}
	defer blob.Close()
	in, err := blob.Open()
	if err != nil {
		return Sum{}, err
	}
	defer in.Close()
	sum, ok := findSum(in, name, path.Base(source), path.Base(dest))
	if !ok {
		return Sum{}, fmt.Errorf("no checksum of %s in %s", source, sourceHash)
	}
	return sum, nil
}

var digitRuns = regexp.MustCompile(`(?i)\b[0-9a-f]{32,128}\b`)

// findSum looks for the strongest checksum on the lines that name one of names, the first name with one wins.
func findSum(r io.Reader, names ...string) (Sum, bool) {
	found := make([]Sum, len(names))
	var first Sum
	lines := bufio.NewScanner(io.LimitReader(r, 16<<20))
	for lines.Scan() {
		for _, run := range digitRuns.FindAllString(lines.Text(), -1) {
			sum, ok := ParseSum(run)
			if !ok {
				continue
			}
			if !first.Given() {
				first = sum
			}
			for i, name := range names {
				if name != "" && mentions(lines.Text(), name) && len(sum.Hex) > len(found[i].Hex) {
					found[i] = sum
				}
			}
		}
	}
	for _, sum := range found {
		if sum.Given() {
			return sum, true
		}
	}
	return first, first.Given()
}

func mentions(line, name string) bool {
	for _, word := range strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(" \t*=()", r) }) {
		if word == name || path.Base(word) == path.Base(name) && path.Base(name) == name {
			return true
		}
	}
	return false
}
