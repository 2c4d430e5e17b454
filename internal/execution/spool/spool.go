package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"go.uber.org/zap"
)

const (
	defaultMaxBytes  = 256 << 20
	defaultMaxRecord = 256 << 10
	// segmentsInAll is how many make up a full spool: the smaller a segment, the sooner its room is free again.
	segmentsInAll   = 64
	minSegmentBytes = 64 << 10
)

// The reasons why no room can be had.
var (
	ErrFull     = errors.New("the spool is full")
	ErrDiskFull = errors.New("the spool's disk is full")
	ErrClosed   = errors.New("the spool is closed")
)

// Options are a Spool's settings. The zero value of a number means its default.
type Options struct {
	Dir string // is made if need be
	// MaxBytes is what this process may take up on disk. Default 256 MiB.
	MaxBytes int64
	// MaxRecord is the room that a reservation takes: no execution should be larger, encoded. One that is takes more if
	// there is any, and else is kept without its input and output. Default 256 KiB.
	MaxRecord int64
	Log       *zap.Logger
	Now       func() time.Time
	Jitter    func() float64 // draws from [0, 1); nil: at random
}

// Spool is a queue of executions on disk. See the package's comment.
type Spool struct {
	opts    Options
	largest int64 // bytes after which a segment is followed by the next
	disk    disk

	wake    chan struct{} // has a value when something was appended
	running sync.Mutex    // held by Run
	// writing is held by who alters a segment that grows, before mu where both are. Nobody waits for the disk with mu held,
	// so that a run need not wait for it to begin.
	writing sync.Mutex

	mu       sync.Mutex
	own      *slot
	growing  *segment // that a record is being written to
	adopted  *slot    // of a dead process, while it is emptied
	reserved int64    // bytes
	stranded stranded
	closed   bool
	stats    Stats // what is counted, not what is looked up
	fault    diskState
}

// Stats tells how a spool is.
type Stats struct {
	Records  int       // that wait for their delivery
	Bytes    int64     // of those
	Oldest   time.Time // when the run began whose record waits longest; zero: nothing waits
	Used     int64     // bytes on disk, and those reserved for runs under way
	Capacity int64     // the bytes that Used may reach

	Delivered  int64 // executions, since the process started: stored and committed
	Duplicates int64 // delivered before, by this process or another
	Rejected   int64 // dropped, since they were refused for what they are
	Corrupt    int64 // times that a segment held something else than a record
	Err        error // why the disk cannot be written; nil: it can
	NoSpace    bool  // the disk has too little space left for another run
}

// Open takes a slot of the folder, with whatever a dead process left in it. Faults of the folder are returned.
func Open(opts Options) (*Spool, error) {
	return open(opts, osDisk{})
}

func open(opts Options, d disk) (*Spool, error) {
	if opts.MaxBytes == 0 {
		opts.MaxBytes = defaultMaxBytes
	}
	if opts.MaxRecord == 0 {
		opts.MaxRecord = defaultMaxRecord
	}
	if opts.Jitter == nil {
		opts.Jitter = rand.Float64
	}
	if opts.MaxRecord < 1<<10 || opts.MaxRecord > largestPayload || opts.MaxBytes < 2*opts.MaxRecord {
		return nil, fmt.Errorf("open the spool: records of up to %d bytes in %d bytes: a record must be from 1 KiB to %d MiB, and there must be room for two",
			opts.MaxRecord, opts.MaxBytes, largestPayload>>20)
	}
	s := &Spool{
		opts: opts, disk: d, largest: max(opts.MaxBytes/segmentsInAll, minSegmentBytes), wake: make(chan struct{}, 1),
		fault: diskState{free: -1},
	}
	if err := os.MkdirAll(opts.Dir, onlyOursFolder); err != nil {
		return nil, fmt.Errorf("open the spool: %w", err)
	}
	if err := checkOwner(opts.Dir); err != nil {
		return nil, fmt.Errorf("open the spool: %w", err)
	}
	for i := 0; i < maxSlots && s.own == nil; i++ {
		var err error
		if s.own, err = holdSlot(filepath.Join(opts.Dir, slotName(i))); err != nil {
			return nil, fmt.Errorf("open the spool: %w", err)
		}
	}
	if s.own == nil {
		return nil, fmt.Errorf("open the spool: all %d slots of %s are held by other processes", maxSlots, opts.Dir)
	}
	if err := s.load(s.own); err != nil {
		return nil, errors.Join(fmt.Errorf("open the spool: %w", err), s.own.letGo())
	}
	if count, bytes := s.own.waiting(); count > 0 {
		opts.Log.Info("the spool has executions of an earlier process",
			zap.String("slot", s.own.dir), zap.Int("executions", count), zap.Int64("bytes", bytes))
	}
	return s, nil
}

// load reads what the slot holds.
func (s *Spool) load(sl *slot) error {
	numbers, err := segmentNumbers(sl.dir)
	if err != nil {
		return err
	}
	for _, number := range numbers {
		sl.next = number + 1
		f, err := s.disk.open(sl.pathOf(number), os.O_RDWR)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		g := &segment{path: sl.pathOf(number), file: f}
		first, length, err := g.load()
		if err != nil {
			return errors.Join(err, f.Close())
		}
		sl.segments = append(sl.segments, g)
		if length > g.size {
			s.mu.Lock()
			s.stats.Corrupt++
			s.mu.Unlock()
			s.setAside(g, g.size, length)
			// Where it cannot be cut off, the segment ends here for this process all the same.
			g.closed = g.closed || f.Truncate(g.size) != nil
		}
		if g.waiting == 0 {
			sl.forget(g)
			if err := g.remove(); err != nil {
				return err
			}
			continue
		}
		if sl.oldest.IsZero() {
			sl.oldest = beganAt(first)
		}
	}
	return nil
}

// beganAt is when the execution of a record began; zero if that cannot be read.
func beganAt(payload []byte) time.Time {
	e, _ := decode(payload) // The delivery says what is wrong with it.
	return e.CreatedAt
}

// Stats tells how the spool is.
func (s *Spool) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	stats := s.stats
	stats.Capacity = s.opts.MaxBytes
	stats.Err = s.fault.err
	if s.own != nil {
		stats.Used = s.used()
		stats.NoSpace = !s.hasRoom(s.reserved + s.opts.MaxRecord)
	}
	for _, sl := range []*slot{s.own, s.adopted} {
		if sl == nil {
			continue
		}
		count, bytes := sl.waiting()
		stats.Records += count
		stats.Bytes += bytes
		stats.Oldest = earlier(stats.Oldest, sl.oldest)
	}
	for _, e := range s.stranded.all {
		stats.Records++
		stats.Oldest = earlier(stats.Oldest, e.CreatedAt)
	}
	stats.Bytes += s.stranded.bytes
	return stats
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// Close gives the slot up, for the next process to deliver what is left. Run must have returned. Room that is still
// reserved is gone.
func (s *Spool) Close() error {
	s.sync()
	s.writing.Lock()
	defer s.writing.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	if lost := len(s.stranded.all); lost > 0 {
		s.opts.Log.Error("executions that could neither be written nor delivered are lost", zap.Int("executions", lost))
	}
	own := s.own
	s.own = nil
	if err := own.letGo(); err != nil {
		return fmt.Errorf("close the spool: %w", err)
	}
	return nil
}
