package blobs

import (
	"context"
	"errors"
	"io"
)

// seeker is an object as an io.ReadSeeker: it is opened at the first read after a seek.
type seeker struct {
	ctx    context.Context // of the request that owns it
	store  Getter
	name   string
	size   int64
	offset int64
	open   io.ReadCloser
}

func (s *seeker) Read(b []byte) (int, error) {
	if s.offset >= s.size {
		return 0, io.EOF
	}
	if s.open == nil {
		r, err := s.store.Get(s.ctx, s.name, s.offset)
		if err != nil {
			return 0, err
		}
		s.open = r
	}
	n, err := s.open.Read(b)
	s.offset += int64(n)
	return n, err
}

func (s *seeker) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += s.offset
	case io.SeekEnd:
		offset += s.size
	}
	if offset < 0 {
		return 0, errors.New("seek before the start")
	}
	if offset != s.offset {
		s.close()
	}
	s.offset = offset
	return offset, nil
}

func (s *seeker) close() {
	if s.open != nil {
		_ = s.open.Close() // only read from
		s.open = nil
	}
}
