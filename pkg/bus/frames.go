package bus

import (
	"errors"
	"io"
	"slices"
	"sync"
)

// frames reads the frames of one connection. While its peer is quiet that takes a small buffer; while more comes than fits,
// it borrows larger ones.
type frames struct {
	from  io.Reader
	buf   []byte // what is read and not used is from r to w
	r, w  int
	more  bool    // the last read filled the buffer: there is more, most likely
	small []byte  // buf, or what it is when large is given back
	large *[]byte // borrowed, and buf
	whole *[]byte // borrowed, with the last frame, which is larger than large
}

const (
	smallBuffer = handshakeBuffer
	largeBuffer = 16 << 10
	wholeBuffer = 256 << 10 // at first
	wholeKept   = 4 << 20   // a larger one is not lent again
)

var (
	larges = sync.Pool{New: func() any { b := make([]byte, largeBuffer); return &b }}
	wholes = sync.Pool{New: func() any { b := make([]byte, 0, wholeBuffer); return &b }}
)

func newFrames(from io.Reader) *frames {
	b := make([]byte, smallBuffer)
	return &frames{from: from, buf: b, small: b}
}

// next reads a frame whose body has at most most bytes. The body is valid until the next call.
func (f *frames) next(most int) (flags byte, body []byte, err error) {
	f.giveBack()
	if err := f.need(2); err != nil {
		return 0, nil, err
	}
	size := headerSize(f.buf[f.r])
	if err := f.need(size); err != nil {
		return 0, nil, err
	}
	h, err := parseHeader(f.buf[f.r:], most)
	if err != nil {
		return 0, nil, err
	}
	f.r += size
	if h.size > largeBuffer {
		body, err = f.long(h.size)
	} else if err = f.need(h.size); err == nil {
		body = f.buf[f.r : f.r+h.size]
		f.r += h.size
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return h.flags, body, err
}

// need reads until n bytes are in the buffer, of at most largeBuffer.
func (f *frames) need(n int) error {
	if f.w-f.r >= n {
		return nil
	}
	f.fit(n)
	for f.w-f.r < n {
		m, err := f.from.Read(f.buf[f.w:])
		f.w += m
		f.more = f.w == len(f.buf)
		if err != nil {
			return err
		}
	}
	return nil
}

// fit makes room in the buffer for n bytes in all.
func (f *frames) fit(n int) {
	rest := f.buf[f.r:f.w]
	switch {
	case f.large == nil && (f.more || n > smallBuffer):
		f.large = larges.Get().(*[]byte)
		f.buf = *f.large
	case f.large != nil && len(rest) == 0 && !f.more && n <= smallBuffer:
		larges.Put(f.large)
		f.large, f.buf = nil, f.small
	}
	f.r, f.w = 0, copy(f.buf, rest)
}

// long reads a body that is larger than the buffer. It takes memory as the bytes come: a claim alone costs little.
func (f *frames) long(n int) ([]byte, error) {
	f.whole = wholes.Get().(*[]byte)
	b := append((*f.whole)[:0], f.buf[f.r:f.w]...) // less than n
	f.r, f.w, f.more = 0, 0, false
	defer func() { *f.whole = b }()
	for len(b) < n {
		if len(b) == cap(b) {
			b = slices.Grow(b, min(n-len(b), max(wholeBuffer, len(b))))
		}
		m, err := f.from.Read(b[len(b):min(cap(b), n)])
		b = b[:len(b)+m]
		if err != nil {
			return nil, err
		}
	}
	return b, nil
}

func (f *frames) giveBack() {
	if f.whole == nil {
		return
	}
	if cap(*f.whole) <= wholeKept {
		wholes.Put(f.whole)
	}
	f.whole = nil
}
