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

// A segment is a file: a header, and records one behind the other. Numbers are little-endian.
//
//	header   how far it was delivered u64 · CRC-32C of that u32 · 0 u32
//	record   length of the payload u32 · CRC-32C of length and payload u32 · payload
//
// A header that makes no sense, as in a file that is new, says that nothing was delivered.
const (
	headerBytes = 16
	frameBytes  = 8
	// largestPayload is what a reader believes a length up to.
	largestPayload = 32 << 20

	segmentSuffix = ".spool1" // the number is the format's
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// errCorrupt says that something is no record: torn, or altered.
var errCorrupt = errors.New("not a record")

// file is what a segment needs of an *os.File.
type file interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Sync() error
	Truncate(size int64) error
	Stat() (os.FileInfo, error)
}

// segment is a file of records. Its fields are guarded by the spool's mutex; the records before size never change, and so
// may be read without.
type segment struct {
	path      string
	file      file
	size      int64 // where the next record goes
	delivered int64 // where the first record stands that was not delivered
	waiting   int   // records from there on
	closed    bool  // nothing is appended any more
	dirty     bool  // written since it was last synced
	// aside is where the file goes instead of being removed, since something in it could not be copied there.
	aside string

	unreadable int // times in a row that the disk failed to give it out; Run's alone
}

// frame makes a record of a payload.
func frame(payload []byte) []byte {
	record := make([]byte, frameBytes, frameBytes+len(payload))
	binary.LittleEndian.PutUint32(record, uint32(len(payload)))
	record = append(record, payload...)
	binary.LittleEndian.PutUint32(record[4:], checksum(record))
	return record
}

// checksum is over a record's length and payload: so a run of zeros, which a file may end in after the machine lost
// power, is no record.
func checksum(record []byte) uint32 {
	return crc32.Update(crc32.Checksum(record[:4], castagnoli), castagnoli, record[frameBytes:])
}

// readPayload reads the record at r, of which there are at most left bytes. It fails with io.EOF where nothing is left, and
// with errCorrupt where there is something else than a record.
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

// records reads a part of a segment, one record after the other.
type records struct {
	r   *bufio.Reader
	at  int64 // where the next one stands
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

// write writes a record behind the others. Where that fails nothing has changed, but for bytes that the next one overwrites.
func (g *segment) write(record []byte) error {
	_, err := g.file.WriteAt(record, g.size)
	if err != nil {
		_ = g.file.Truncate(g.size) // or else a restart would find a torn record there, and complain
	}
	return err
}

// mark notes in the file how far it was delivered, for a process that comes after this one.
func (g *segment) mark() error {
	var header [headerBytes]byte
	binary.LittleEndian.PutUint64(header[:], uint64(g.delivered))
	binary.LittleEndian.PutUint32(header[8:], crc32.Checksum(header[:8], castagnoli))
	_, err := g.file.WriteAt(header[:], 0)
	return err
}

// load learns what another process left in a file: how far it was delivered, and where its last whole record ends.
func (g *segment) load() (first []byte, length int64, err error) {
	info, err := g.file.Stat()
	if err != nil {
		return nil, 0, err
	}
	length = info.Size()
	g.delivered, g.size = headerBytes, headerBytes
	if length <= headerBytes {
		return nil, g.size, nil // its process died before the first record was whole
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
