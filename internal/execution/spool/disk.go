package spool

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

// disk is where segments are; a test has one that fails.
type disk interface {
	open(path string, flag int) (file, error)
	// free is how many bytes can be written yet. ok is false where that is not known.
	free(dir string) (bytes uint64, ok bool)
}

type osDisk struct{}

func (osDisk) open(path string, flag int) (file, error) {
	f, err := os.OpenFile(path, flag, onlyOurs)
	if err != nil {
		return nil, err // not a nil *os.File
	}
	return f, nil
}

func (osDisk) free(dir string) (bytes uint64, ok bool) {
	var stat unix.Statfs_t
	if err := unix.Statfs(dir, &stat); err != nil {
		return 0, false
	}
	return uint64(stat.Bavail) * uint64(stat.Bsize), true // whose types differ between systems
}

const (
	probeEvery = time.Second     // a disk that failed is tried again, and a disk's free room is looked up
	idleEvery  = 2 * time.Second // a disk that nothing was written to is tried, too
	probeBytes = 4 << 10
	probeName  = "probe"
)

// diskState is what keeps records from being written.
type diskState struct {
	err     error
	probeAt time.Time // when the disk may be tried again

	wroteAt  time.Time // when the disk last took something
	free     int64     // bytes on the disk when that was looked up; negative: not known
	lookedAt time.Time
}

// failed notes that the disk refused something. Runs are refused from now on, until the disk is found well again. The
// mutex is held.
func (s *Spool) failed(err error) {
	if s.fault.err == nil {
		s.opts.Log.Error("the spool cannot be written; runs are refused until it can be", zap.Error(err))
	}
	s.fault.err, s.fault.probeAt = err, s.opts.Now().Add(probeEvery)
}

// probe finds out whether a disk that failed can be written again, once in a while.
func (s *Spool) probe() {
	s.mu.Lock()
	now := s.opts.Now()
	due := s.fault.err != nil && !now.Before(s.fault.probeAt) && !s.closed
	if !due {
		s.mu.Unlock()
		return
	}
	s.fault.probeAt = now.Add(probeEvery) // nobody else, meanwhile
	path := filepath.Join(s.own.dir, probeName)
	s.mu.Unlock()

	err := s.tryToWrite(path)
	if err == nil {
		err = s.missing()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault.probeAt = s.opts.Now().Add(probeEvery)
	if err != nil {
		s.fault.err = err
		return
	}
	s.fault.err = nil
	s.opts.Log.Info("the spool can be written again")
	s.wakeUp() // for what waits in memory
}

// tryIfIdle writes something to a disk that nothing was written to for a while, so that one that takes nothing any more is known
// before a run needs it. It does not wait for the disk itself.
func (s *Spool) tryIfIdle() {
	s.mu.Lock()
	now := s.opts.Now()
	due := s.fault.err == nil && !s.closed && now.Sub(s.fault.wroteAt).Abs() >= idleEvery
	if !due {
		s.mu.Unlock()
		return
	}
	s.fault.wroteAt = now
	path := filepath.Join(s.own.dir, probeName)
	s.mu.Unlock()
	f, err := s.disk.open(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	if err == nil {
		_, err = f.WriteAt(make([]byte, probeBytes), 0)
		err = errors.Join(err, f.Close(), os.Remove(path))
	}
	if err == nil || errors.Is(err, fs.ErrNotExist) { // the folder's absence is missCheck's concern
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failed(err)
}

var errMissing = errors.New("someone removed the spool's files while they were in use; if they do not reappear, a restart makes them anew")

// missCheck looks whether the files are where a process that comes after this one would look for them. What cleans a folder
// such as /tmp up may have taken them away, and what is written to them then dies with this process.
func (s *Spool) missCheck() {
	if err := s.missing(); err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.failed(err)
	}
}

// missing is an error if the lock, or a segment with something in it, is not there any more.
func (s *Spool) missing() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	lock, segments := s.own.lock, slices.Clone(s.own.segments)
	s.mu.Unlock()
	if !isAt(lock) {
		return errMissing
	}
	for _, g := range segments {
		if _, err := os.Stat(g.path); !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		s.mu.Lock()
		lost := false
		if !s.closed && slices.Contains(s.own.segments, g) { // else it was delivered, and then removed, meanwhile
			g.closed = true
			lost = g.waiting > 0
		}
		s.mu.Unlock()
		if lost {
			return errMissing
		}
	}
	return nil
}

func (s *Spool) tryToWrite(path string) error {
	f, err := s.disk.open(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(make([]byte, probeBytes), 0)
	if err == nil {
		err = f.Sync() // some file systems find out no sooner
	}
	return errors.Join(err, f.Close(), os.Remove(path))
}

// lookForRoom finds out how much room the disk has, once in a while.
func (s *Spool) lookForRoom() {
	s.mu.Lock()
	now := s.opts.Now()
	due := s.fault.lookedAt.IsZero() || now.Sub(s.fault.lookedAt).Abs() >= probeEvery
	if due {
		s.fault.lookedAt = now // nobody else, meanwhile
	}
	s.mu.Unlock()
	if !due {
		return
	}
	free, ok := s.disk.free(s.opts.Dir)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault.free = -1
	if ok {
		s.fault.free = int64(min(free, 1<<62))
	}
}

// hasRoom says whether the disk has so many bytes to spare, as far as that is known. The mutex is held.
func (s *Spool) hasRoom(bytes int64) bool { return s.fault.free < 0 || s.fault.free >= bytes }

// sync makes what was written outlast a loss of power.
func (s *Spool) sync() {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	var files []*segment
	for _, g := range s.own.segments {
		if g.dirty {
			g.dirty = false
			files = append(files, g)
		}
	}
	folder := s.own.folder
	s.own.folder = false
	dir := s.own.dir
	s.mu.Unlock()

	for _, g := range files {
		if err := g.file.Sync(); err != nil && !errors.Is(err, os.ErrClosed) { // closed: all of it was delivered meanwhile
			s.unsynced(err, func() { g.dirty = true })
		}
	}
	if folder {
		if err := syncFolder(dir); err != nil {
			s.unsynced(err, func() { s.own.folder = true })
		}
	}
}

func (s *Spool) unsynced(err error, again func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	again()
	s.failed(err)
}

func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = f.Sync()
	if errors.Is(err, unix.EINVAL) { // some file systems have nothing to sync there
		err = nil
	}
	return errors.Join(err, f.Close())
}
