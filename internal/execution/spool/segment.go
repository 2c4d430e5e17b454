package spool

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
)

// A segment is a file with a header followed by records. Numbers are little-endian.
//
//	header   offset delivered up to u64 · CRC-32C of that u32 · 0 u32
//	record   payload length u32 · CRC-32C of length and payload u32 · payload
//
// With an invalid header, such as that of a new file, nothing counts as delivered.
const (
	headerBytes = 16
	frameBytes  = 8
	// largestPayload is the maximum length that a reader accepts.
	largestPayload = 32 << 20

	segmentSuffix = ".spool1" // 1 is the version of the format
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// errCorrupt is returned for a torn or altered record.
var errCorrupt = errors.New("not a record")

// file is the part of *os.File that a segment uses.
type file interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Sync() error
	Truncate(size int64) error
	Stat() (os.FileInfo, error)
}

// segment is a file of records. The spool's mutex guards its fields; records before size never change and may be read
// without it.
type segment struct {
	path      string
	file      file
	size      int64 // offset of the next record
	delivered int64 // offset of the first undelivered record
	waiting   int   // records from there on
	closed    bool  // no records are appended any more
	dirty     bool  // written since the last sync
	// aside is where the file is moved instead of being removed, if a part of it could not be copied.
	aside string

	unreadable int // consecutive read failures; used by Run alone
}

// frame returns a record with the payload.
func frame(payload []byte) []byte {
	record := make([]byte, frameBytes, frameBytes+len(payload))
	binary.LittleEndian.PutUint32(record, uint32(len(payload)))
	record = append(record, payload...)
	binary.LittleEndian.PutUint32(record[4:], checksum(record))
	return record
}

// checksum covers a record's length and payload, so that a run of zeros, which a file may end in after a loss of power,
// is not a record.
func checksum(record []byte) uint32 {
	return crc32.Update(crc32.Checksum(record[:4], castagnoli), castagnoli, record[frameBytes:])
}

// readPayload reads a record from r, which has at most left bytes. It returns io.EOF if nothing is left and errCorrupt if
// there is no valid record.
func readPayload(r io.Reader, left int64) ([]byte, error) {
	if left == 0 {
		return nil, io.EOF
	}
	if left < frameBytes {
		return nil, errCorrupt
	}
	var head [frameBytes]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, shortIsCorrupt(err)
	}
	length := int64(binary.LittleEndian.Uint32(head[:]))
	if length == 0 || length > min(left-frameBytes, largestPayload) {
		return nil, errCorrupt
	}
	record := make([]byte, frameBytes+length)
	copy(record, head[:])
	if _, err := io.ReadFull(r, record[frameBytes:]); err != nil {
		return nil, shortIsCorrupt(err)
	}
	if checksum(record) != binary.LittleEndian.Uint32(head[4:]) {
		return nil, errCorrupt
	}
	return record[frameBytes:], nil
}

func shortIsCorrupt(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errCorrupt
	}
	return err
}

// records reads consecutive records of a segment.
type records struct {
	r   *bufio.Reader
	at  int64 // offset of the next record
	end int64
}

func (g *segment) records(from, end int64) *records {
	return &records{r: bufio.NewReaderSize(io.NewSectionReader(g.file, from, end-from), 64<<10), at: from, end: end}
}

func (r *records) next() ([]byte, error) {
	payload, err := readPayload(r.r, r.end-r.at)
	if err == nil {
		r.at += frameBytes + int64(len(payload))
	}
	return payload, err
}

// write appends a record. If it fails the segment is unchanged except for bytes that the next record overwrites.
func (g *segment) write(record []byte) error {
	_, err := g.file.WriteAt(record, g.size)
	if err != nil {
		_ = g.file.Truncate(g.size) // otherwise a restart would report a torn record
	}
	return err
}

// mark writes to the header how far the segment was delivered, for later processes.
func (g *segment) mark() error {
	var header [headerBytes]byte
	binary.LittleEndian.PutUint64(header[:], uint64(g.delivered))
	binary.LittleEndian.PutUint32(header[8:], crc32.Checksum(header[:8], castagnoli))
	_, err := g.file.WriteAt(header[:], 0)
	return err
}

// load reads how far an existing file was delivered and where its last complete record ends.
func (g *segment) load() (first []byte, length int64, err error) {
	info, err := g.file.Stat()
	if err != nil {
		return nil, 0, err
	}
	length = info.Size()
	g.delivered, g.size = headerBytes, headerBytes
	if length <= headerBytes {
		return nil, g.size, nil // its process died before the first record was complete
	}
	var header [headerBytes]byte
	if _, err := g.file.ReadAt(header[:], 0); err != nil {
		return nil, 0, fmt.Errorf("read %s: %w", g.path, err)
	}
	mark := binary.LittleEndian.Uint64(header[:])
	if crc32.Checksum(header[:8], castagnoli) == binary.LittleEndian.Uint32(header[8:]) && mark >= headerBytes && mark <= uint64(length) {
		g.delivered = int64(mark)
	}
	all := g.records(g.delivered, length)
	for {
		payload, err := all.next()
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, errCorrupt):
			g.size = all.at
			return first, length, nil
		case err != nil:
			return nil, 0, fmt.Errorf("read %s: %w", g.path, err)
		}
		if g.waiting++; g.waiting == 1 {
			first = payload
		}
	}
}
