package postgres

import (
	"context"
	"encoding/binary"
	"io"
	"math"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// copyRows copies n rows into a table. write is called for each row and writes its columns in order. named is the
// table's name in metrics, if different.
//
// pgx's CopyFrom queries the columns' types each time and selects an encoder for each value, which costs as much as
// decoding the received rows. Here the caller selects the encoding.
func (db *DB) copyRows(ctx context.Context, tx pgx.Tx, table pgx.Identifier, named, columns string, n int, write func(r *copyRow, i int)) error {
	traced := table
	if named != "" {
		traced = pgx.Identifier{named}
	}
	ctx = db.tracer.TraceCopyFromStart(ctx, tx.Conn(), pgx.TraceCopyFromStartData{TableName: traced})
	sql := "COPY " + table.Sanitize() + " (" + columns + ") FROM STDIN (FORMAT binary)"
	columnsMany := uint16(strings.Count(columns, ",") + 1)
	from := &copyReader{rows: n, columns: columnsMany, write: write}
	from.row.b = *copyBuffers.Get().(*[]byte)
	tag, err := tx.Conn().PgConn().CopyFrom(ctx, from, sql)
	if err == nil && cap(from.row.b) <= 4*copyChunk { // after an error the buffer may still be in use
		used := from.row.b[:0]
		copyBuffers.Put(&used)
	}
	db.tracer.TraceCopyFromEnd(ctx, tx.Conn(), pgx.TraceCopyFromEndData{CommandTag: tag, Err: err})
	return err
}

// copyBuffers pools the buffers of chunks.
var copyBuffers = sync.Pool{New: func() any { return new([]byte) }}

// copyReader encodes rows in COPY's binary format while it is read.
type copyReader struct {
	rows    int
	columns uint16
	write   func(r *copyRow, i int)

	next  int // the next row; -1 after the trailer
	row   copyRow
	ready []byte
}

// copyChunk is the approximate number of bytes encoded at once, which is what pgx sends at once.
const copyChunk = 60 << 10

func (c *copyReader) Read(p []byte) (int, error) {
	if len(c.ready) == 0 {
		if c.next < 0 {
			return 0, io.EOF
		}
		c.make()
	}
	n := copy(p, c.ready)
	c.ready = c.ready[n:]
	return n, nil
}

// make encodes the next chunk.
func (c *copyReader) make() {
	b := &c.row.b
	*b = (*b)[:0]
	if c.next == 0 {
		*b = append(*b, "PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00"...) // signature, flags, extension length
	}
	for ; c.next < c.rows && len(*b) < copyChunk; c.next++ {
		*b = binary.BigEndian.AppendUint16(*b, c.columns)
		c.write(&c.row, c.next)
	}
	if c.next == c.rows {
		*b = binary.BigEndian.AppendUint16(*b, math.MaxUint16) // -1, the trailer
		c.next = -1
	}
	c.ready = *b
}

// copyRow encodes a row. Its methods are called in the order of the columns, each for exactly the column's type.
type copyRow struct{ b []byte }

func (r *copyRow) length(n int) { r.b = binary.BigEndian.AppendUint32(r.b, uint32(n)) }

func (r *copyRow) null() { r.b = binary.BigEndian.AppendUint32(r.b, math.MaxUint32) }

// texts writes columns of type text.
func (r *copyRow) texts(all ...string) {
	for _, s := range all {
		r.length(len(s))
		r.b = append(r.b, s...)
	}
}

// bigints writes columns of type bigint.
func (r *copyRow) bigints(all ...int64) {
	for _, n := range all {
		r.length(8)
		r.b = binary.BigEndian.AppendUint64(r.b, uint64(n))
	}
}

func (r *copyRow) smallint(n int16) {
	r.length(2)
	r.b = binary.BigEndian.AppendUint16(r.b, uint16(n))
}

func (r *copyRow) boolean(is bool) {
	r.length(1)
	if is {
		r.b = append(r.b, 1)
	} else {
		r.b = append(r.b, 0)
	}
}

func (r *copyRow) double(f float64) {
	r.length(8)
	r.b = binary.BigEndian.AppendUint64(r.b, math.Float64bits(f))
}

// from1970 is the number of microseconds from 1970 to 2000, PostgreSQL's epoch.
const from1970 = 946_684_800_000_000

func (r *copyRow) timestamptz(t time.Time) {
	r.bigints(t.UnixMicro() - from1970)
}

func (r *copyRow) bytea(data []byte) {
	r.length(len(data))
	r.b = append(r.b, data...)
}

// optionalText writes a column of type text, NULL if data is empty.
func (r *copyRow) optionalText(data []byte) {
	if len(data) == 0 {
		r.null()
		return
	}
	r.bytea(data)
}

// jsonb writes a column of type jsonb, NULL if data is empty.
func (r *copyRow) jsonb(data []byte) {
	if len(data) == 0 {
		r.null()
		return
	}
	r.length(1 + len(data))
	r.b = append(append(r.b, 1), data...) // the format's version
}
