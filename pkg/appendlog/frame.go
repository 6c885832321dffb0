package appendlog

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

const headerSize = 8

func appendFrame(b, payload []byte) []byte {
	start := len(b)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(payload)))
	b = binary.LittleEndian.AppendUint32(b, checksum(b[start:start+4], payload))
	return append(b, payload...)
}

func checksum(length, payload []byte) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli)
	return crc32.Update(crc32.Checksum(length, table), table, payload)
}

// scan calls fn with the payload of each record of a file of size bytes. It stops before the first record that is not whole
// and returns where. Nothing is allocated beyond what the file holds.
func scan(r io.Reader, size int64, fn func([]byte) error) (end int64, err error) {
	in := bufio.NewReaderSize(r, 64<<10)
	var header [headerSize]byte
	var payload []byte
	for {
		if _, err := io.ReadFull(in, header[:]); err != nil {
			return end, notTorn(err)
		}
		length := int64(binary.LittleEndian.Uint32(header[:4]))
		if length == 0 || length > MaxRecord || length > size-end-headerSize {
			return end, nil
		}
		if int64(cap(payload)) < length {
			payload = make([]byte, length)
		}
		payload = payload[:length]
		if _, err := io.ReadFull(in, payload); err != nil {
			return end, notTorn(err)
		}
		if checksum(header[:4], payload) != binary.LittleEndian.Uint32(header[4:]) {
			return end, nil
		}
		if err := fn(payload); err != nil {
			return end, fmt.Errorf("record at byte %d: %w", end, err)
		}
		end += headerSize + length
	}
}

// notTorn is nil for the errors that the end of a torn file gives.
func notTorn(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}
