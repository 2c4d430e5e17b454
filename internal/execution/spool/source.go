package spool

import (
	"errors"
	"io"
	"time"

	"go.uber.org/zap"
)

// recycleBytes is the size from which a delivered segment is removed instead of being appended to.
const recycleBytes = 64 << 10

// maxUnreadable is the maximum number of consecutive attempts to read a segment.
const maxUnreadable = 10

// fromSlot is the source of a slot's records.
type fromSlot struct {
	s  *Spool
	sl *slot
}

func (f fromSlot) next(limit int) (batch, error) {
	for {
		g, end := f.head()
		if g == nil {
			return batch{}, nil
		}
		b, err := f.read(g, end, limit)
		if err != nil || b.records > 0 {
			return b, err
		}
	}
}

// head returns the oldest segment with undelivered records, and where it ends.
func (f fromSlot) head() (*segment, int64) {
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	for _, g := range f.sl.segments {
		if g.waiting > 0 {
			return g, g.size
		}
	}
	return nil, 0
}

// read returns the next records of a segment. It ends the segment before a corrupt record.
func (f fromSlot) read(g *segment, end int64, limit int) (batch, error) {
	b := batch{segment: g}
	all := g.records(g.delivered, end)
	for b.records < limit && all.at-g.delivered < batchBytes {
		payload, err := all.next()
		if errors.Is(err, errCorrupt) || errors.Is(err, io.EOF) && b.records == 0 {
			f.cut(g, all.at, b.records)
		}
		if errors.Is(err, errCorrupt) || errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			if g.unreadable++; g.unreadable < maxUnreadable {
				return batch{}, err
			}
			f.s.opts.Log.Error("a part of the spool cannot be read and is dropped", zap.String("segment", g.path), zap.Error(err))
			f.cut(g, all.at, b.records)
			break
		}
		b.records++
		e, err := decode(payload)
		if err != nil {
			f.s.reject("", "undecodable", err)
			continue
		}
		b.executions = append(b.executions, e)
	}
	g.unreadable = 0
	b.end = all.at
	if len(b.executions) > 0 {
		f.s.mu.Lock()
		f.sl.oldest = b.executions[0].CreatedAt
		f.s.mu.Unlock()
	}
	return b, nil
}

// cut ends a segment at offset at, before a record that became corrupt after it was written or loaded. before is the
// number of undelivered records ahead of it.
func (f fromSlot) cut(g *segment, at int64, before int) {
	f.s.writing.Lock() // so that nothing is appended
	defer f.s.writing.Unlock()
	f.s.quarantine(g, at, g.size)
	f.s.mu.Lock()
	f.s.stats.Corrupt++
	g.closed = true
	g.size, g.waiting = at, before
	if before == 0 {
		f.sl.forget(g)
	}
	f.s.mu.Unlock()
	if before == 0 {
		f.remove(g)
	}
}

// settle removes delivered records: a mark records the progress, and a segment is removed with its last record.
func (f fromSlot) settle(b batch) {
	g := b.segment
	f.s.mu.Lock()
	g.delivered = b.end
	g.waiting -= b.records
	if count, _ := f.sl.waiting(); count == 0 {
		f.sl.oldest = time.Time{}
	}
	mayGrow := f.sl == f.s.own && !g.closed && g == f.sl.segments[len(f.sl.segments)-1]
	gone := g.waiting == 0 && (!mayGrow || g.size >= recycleBytes && f.s.growing != g)
	if gone {
		f.sl.forget(g)
	}
	f.s.mu.Unlock()
	if gone {
		f.remove(g)
		return
	}
	if err := f.settled(g); err != nil {
		f.s.mu.Lock()
		f.s.failed(err)
		f.s.mu.Unlock()
	}
}

// settled marks how far a segment was delivered. A completely delivered segment is emptied, so that prompts are kept no
// longer than needed.
func (f fromSlot) settled(g *segment) error {
	f.s.writing.Lock() // so that nothing is appended
	defer f.s.writing.Unlock()
	f.s.mu.Lock()
	empty := g.waiting == 0
	if empty {
		g.delivered, g.size = headerBytes, headerBytes
	}
	f.s.mu.Unlock()
	if err := g.mark(); err != nil || !empty {
		return err
	}
	return g.file.Truncate(headerBytes)
}

func (f fromSlot) remove(g *segment) {
	if err := g.remove(); err != nil {
		f.s.opts.Log.Error("a segment that was delivered cannot be removed; a restart delivers it again", zap.Error(err))
	}
}

// memory is the source of executions that could not be written.
type memory struct{ s *Spool }

func (m memory) next(limit int) (batch, error) {
	m.s.mu.Lock()
	defer m.s.mu.Unlock()
	n := min(limit, len(m.s.stranded.all))
	return batch{executions: m.s.stranded.all[:n:n], records: n}, nil
}

func (m memory) settle(b batch) {
	m.s.mu.Lock()
	defer m.s.mu.Unlock()
	m.s.stranded.forget(b.records)
}
