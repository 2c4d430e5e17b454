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
	// segmentsInAll is the number of segments of a full spool: the smaller a segment, the sooner its space is free again.
	segmentsInAll   = 64
	minSegmentBytes = 64 << 10
)

// Reasons why no space can be reserved.
var (
	ErrFull     = errors.New("the spool is full")
	ErrDiskFull = errors.New("the spool's disk is full")
	ErrClosed   = errors.New("the spool is closed")
)

// Options are a Spool's settings. The zero value of a number means its default.
type Options struct {
	Dir string // created if needed
	// MaxBytes limits this process's space on disk. Default 256 MiB.
	MaxBytes int64
	// MaxRecord is the space of a reservation. A larger encoded execution takes more if there is free space, otherwise it
	// is kept without its input and output. Default 256 KiB.
	MaxRecord int64
	Log       *zap.Logger
	Now       func() time.Time
	Jitter    func() float64 // returns numbers in [0, 1); default random
}

// Spool is a queue of executions on disk. See the package comment.
type Spool struct {
	opts    Options
	largest int64 // bytes after which the next segment is started
	disk    disk

	wake    chan struct{} // has a value when something was appended
	running sync.Mutex    // held by Run
	// writing is held while the growing segment changes; it is locked before mu. Nobody waits for the disk with mu held, so
	// that Reserve never does.
	writing sync.Mutex

	mu       sync.Mutex
	own      *slot
	growing  *segment // the segment that a record is being written to
	adopted  *slot    // of a dead process, while it is delivered
	reserved int64    // bytes
	stranded stranded
	closed   bool
	stats    Stats // the counters only
	fault    diskState
}

// Stats describes a spool.
type Stats struct {
	Records  int       // undelivered records
	Bytes    int64     // their size
	Oldest   time.Time // when the run of the oldest record began; zero if there is none
	Used     int64     // bytes on disk and reserved for runs under way
	Capacity int64     // the maximum of Used

	Delivered  int64 // executions stored and committed since the process started
	Duplicates int64 // delivered before, by this process or another
	Rejected   int64 // dropped because they were rejected as invalid
	Corrupt    int64 // corrupt records found
	Err        error // why the disk cannot be written, or nil
	NoSpace    bool  // the disk has too little free space for another run
}

// Open takes a free slot of the directory, with the records that a dead process may have left in it. It returns an error
// if the directory cannot be used.
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
		return nil, fmt.Errorf("open the spool: records of up to %d bytes in %d bytes: a record must be from 1 KiB to %d MiB, and two must fit",
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
		return nil, errors.Join(fmt.Errorf("open the spool: %w", err), s.own.release())
	}
	if count, bytes := s.own.waiting(); count > 0 {
		opts.Log.Info("the spool has executions of an earlier process",
			zap.String("slot", s.own.dir), zap.Int("executions", count), zap.Int64("bytes", bytes))
	}
	return s, nil
}

// load reads the slot's segments.
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
			s.quarantine(g, g.size, length)
			// If it cannot be truncated, the segment is closed here for this process.
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

// beganAt returns when the execution of a record began, or zero if that cannot be read.
func beganAt(payload []byte) time.Time {
	e, _ := decode(payload) // the delivery reports its error
	return e.CreatedAt
}

// Stats returns the spool's state and counters.
func (s *Spool) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	stats := s.stats
	stats.Capacity = s.opts.MaxBytes
	stats.Err = s.fault.err
	if s.own != nil {
		stats.Used = s.used()
		stats.NoSpace = !s.hasSpace(s.reserved + s.opts.MaxRecord)
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

// Close releases the slot, for the next process to deliver the rest. Run must have returned. Reservations become invalid.
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
	if err := own.release(); err != nil {
		return fmt.Errorf("close the spool: %w", err)
	}
	return nil
}
