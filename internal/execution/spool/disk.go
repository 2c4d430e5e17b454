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

// disk is the file system under the segments; tests replace it with one that fails.
type disk interface {
	open(path string, flag int) (file, error)
	// free returns how many bytes can still be written; ok is false if that is unknown.
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
	probeEvery = time.Second     // interval of retries of a failed disk and of free-space checks
	idleEvery  = 2 * time.Second // interval of probes of an idle disk
	probeBytes = 4 << 10
	probeName  = "probe"
)

// diskState is the state of a disk that cannot be written.
type diskState struct {
	err     error
	probeAt time.Time // when the disk may be tried again

	wroteAt  time.Time // when a write last succeeded
	free     int64     // free bytes when last checked; negative: unknown
	lookedAt time.Time
}

// failed records a disk error. Runs are rejected until a probe of the disk succeeds. The mutex is held.
func (s *Spool) failed(err error) {
	if s.fault.err == nil {
		s.opts.Log.Error("the spool cannot be written; runs are refused until it can be", zap.Error(err))
	}
	s.fault.err, s.fault.probeAt = err, s.opts.Now().Add(probeEvery)
}

// probe checks, once per probeEvery, whether a failed disk can be written again.
func (s *Spool) probe() {
	s.mu.Lock()
	now := s.opts.Now()
	due := s.fault.err != nil && !now.Before(s.fault.probeAt) && !s.closed
	if !due {
		s.mu.Unlock()
		return
	}
	s.fault.probeAt = now.Add(probeEvery) // one probe at a time
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
	s.wakeUp() // to write the executions kept in memory
}

// tryIfIdle writes a probe to an idle disk, so that a failure is known before a run needs the disk. It does not wait for
// the write.
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

var errMissing = errors.New("someone removed the spool's files while they were in use; if they do not reappear, a restart creates them again")

// missCheck checks that the files are still where a later process would look for them. A cleaner of /tmp may have removed
// them, and records written to removed files are lost with this process.
func (s *Spool) missCheck() {
	if err := s.missing(); err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.failed(err)
	}
}

// missing returns an error if the lock file or a non-empty segment was removed.
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
		if !s.closed && slices.Contains(s.own.segments, g) { // otherwise it was delivered and removed in the meantime
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
		err = f.Sync() // some file systems report errors only here
	}
	return errors.Join(err, f.Close(), os.Remove(path))
}

// findSpace updates the free space once per probeEvery.
func (s *Spool) findSpace() {
	s.mu.Lock()
	now := s.opts.Now()
	due := s.fault.lookedAt.IsZero() || now.Sub(s.fault.lookedAt).Abs() >= probeEvery
	if due {
		s.fault.lookedAt = now // one check at a time
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

// hasSpace reports whether the disk has the given number of bytes free, as far as is known. The mutex is held.
func (s *Spool) hasSpace(bytes int64) bool { return s.fault.free < 0 || s.fault.free >= bytes }

// sync makes written records survive a loss of power.
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
		if err := g.file.Sync(); err != nil && !errors.Is(err, os.ErrClosed) { // closed: it was delivered in the meantime
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
