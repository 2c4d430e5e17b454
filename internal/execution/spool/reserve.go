package spool

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"go.uber.org/zap"

	"github.com/watchbill/watchbill/internal/execution"
)

var errSpent = errors.New("its reserved space is used up")

// Reservation is reserved space for one execution.
type Reservation struct {
	s     *Spool
	spent bool // guarded by the spool's mutex
}

// stranded holds the executions that could not be written, in memory, within their reserved space.
type stranded struct {
	all   []execution.Execution
	sizes []int64
	bytes int64
}

// Reserve reserves space for one execution. If it fails, with ErrFull, ErrDiskFull or a disk error, the run should not
// be started.
func (s *Spool) Reserve() (*Reservation, error) {
	s.probe()
	s.findSpace()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return nil, ErrClosed
	case s.fault.err != nil:
		return nil, fmt.Errorf("the spool cannot be written: %w", s.fault.err)
	case s.used()+s.opts.MaxRecord > s.opts.MaxBytes:
		return nil, ErrFull
	case !s.hasSpace(s.reserved + s.opts.MaxRecord):
		return nil, ErrDiskFull
	}
	s.reserved += s.opts.MaxRecord
	return &Reservation{s: s}, nil
}

// used returns the bytes stored and reserved. The mutex is held.
func (s *Spool) used() int64 { return s.own.size() + s.reserved + s.stranded.bytes }

// Release releases the space if nothing was appended.
func (r *Reservation) Release() {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	if !r.spent {
		r.spent = true
		r.s.reserved -= r.s.opts.MaxRecord
	}
}

// Append writes the execution; it must be called at most once. The execution survives the process once Append returns nil.
// If the write fails, Append returns the error and keeps the execution in memory, where it is lost only if the process
// ends before it is delivered or the disk recovers.
func (r *Reservation) Append(e execution.Execution) error {
	s := r.s
	record, err := encode(e)
	if err != nil {
		return fmt.Errorf("spool execution %s: %w", e.ID, err)
	}
	e, record, err = r.fit(e, record)
	if err != nil {
		return fmt.Errorf("spool execution %s: %w", e.ID, err)
	}
	err = s.write(e, record)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reserved -= s.opts.MaxRecord
	if errors.Is(err, ErrClosed) {
		return err
	}
	if err != nil {
		s.failed(err)
		s.stranded.add(e, int64(len(record)))
		err = fmt.Errorf("spool execution %s: it waits in memory: %w", e.ID, err)
	}
	s.wakeUp()
	return err
}

// fit uses up the reservation. An execution larger than its reservation loses its input and output unless there is
// enough free space.
func (r *Reservation) fit(e execution.Execution, record []byte) (execution.Execution, []byte, error) {
	s := r.s
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case r.spent:
		return e, nil, errSpent
	case s.closed:
		return e, nil, ErrClosed
	}
	r.spent = true
	excess := int64(len(record)) - s.opts.MaxRecord
	if excess <= 0 || len(record) <= largestPayload && s.used()+excess <= s.opts.MaxBytes && s.hasSpace(s.reserved+excess) {
		return e, record, nil
	}
	s.opts.Log.Warn("an execution is larger than the space left; it is kept without input and output",
		zap.String("execution_id", e.ID), zap.Int("bytes", len(record)))
	e.Input, e.Output = nil, nil
	record, err := encode(e)
	return e, record, err
}

func (s *Spool) wakeUp() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// encode encodes an execution as a record. Input or output that is not JSON is left out.
func encode(e execution.Execution) ([]byte, error) {
	if !json.Valid(e.Input) {
		e.Input = nil
	}
	if !json.Valid(e.Output) {
		e.Output = nil
	}
	var payload bytes.Buffer
	encoder := json.NewEncoder(&payload)
	encoder.SetEscapeHTML(false) // which turns one byte into six
	if err := encoder.Encode(e); err != nil {
		return nil, err
	}
	return frame(payload.Bytes()), nil
}

// decode reads a record of encode, of this or an older version.
func decode(payload []byte) (execution.Execution, error) {
	var e execution.Execution
	if err := json.Unmarshal(payload, &e); err != nil {
		return execution.Execution{}, err
	}
	for _, content := range []*json.RawMessage{&e.Input, &e.Output} {
		if string(*content) == "null" { // how an absent content is written
			*content = nil
		}
	}
	return e, nil
}

// write appends the record to the newest segment, or to a new one.
func (s *Spool) write(e execution.Execution, record []byte) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	g, err := s.writable()
	if err != nil {
		return err
	}
	err = g.write(record)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.growing = nil
	if err != nil {
		return err
	}
	s.fault.wroteAt = s.opts.Now()
	g.size += int64(len(record))
	g.waiting++
	g.dirty = true
	if s.own.oldest.IsZero() {
		s.own.oldest = e.CreatedAt
	}
	return nil
}

// writable returns the segment to append to and marks it as growing.
func (s *Spool) writable() (*segment, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	if n := len(s.own.segments); n > 0 {
		if last := s.own.segments[n-1]; !last.closed && last.size < s.largest {
			s.growing = last
			return last, nil
		}
	}
	path := s.own.pathOf(s.own.next)
	s.mu.Unlock()
	f, err := s.disk.open(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	s.mu.Lock()
	if err != nil {
		return nil, err
	}
	g := &segment{path: path, file: f, size: headerBytes, delivered: headerBytes}
	s.own.segments = append(s.own.segments, g)
	s.own.next++
	s.own.folder = true
	s.growing = g
	return g, nil
}

func (w *stranded) add(e execution.Execution, size int64) {
	w.all = append(w.all, e)
	w.sizes = append(w.sizes, size)
	w.bytes += size
}

// forget removes the first n.
func (w *stranded) forget(n int) {
	for _, size := range w.sizes[:n] {
		w.bytes -= size
	}
	w.all, w.sizes = w.all[n:], w.sizes[n:]
	if len(w.all) == 0 {
		*w = stranded{}
	}
}

// recoverUnwritten writes the executions kept in memory to the disk once it can be written again. Only Run calls it.
func (s *Spool) recoverUnwritten() {
	for {
		s.mu.Lock()
		if len(s.stranded.all) == 0 || s.fault.err != nil || s.closed {
			s.mu.Unlock()
			return
		}
		e := s.stranded.all[0]
		s.mu.Unlock()
		record, err := encode(e)
		if err == nil {
			err = s.write(e, record)
		}
		s.mu.Lock()
		if err != nil {
			s.failed(err)
		} else {
			s.stranded.forget(1)
		}
		s.mu.Unlock()
	}
}
