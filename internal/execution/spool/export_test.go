package spool

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
)

// FaultyDisk is a disk that fails on request.
type FaultyDisk struct {
	mu    sync.Mutex
	fault error // of every write and every opening of a file for writing
	short int   // bytes that a failing write still writes
	left  *uint64
	reads error // of every read
	syncs error // of every sync
}

// OpenFaulty is Open on a FaultyDisk.
func OpenFaulty(opts Options, d *FaultyDisk) (*Spool, error) { return open(opts, d) }

// Fail makes every write fail after short bytes, until it is called with nil.
func (d *FaultyDisk) Fail(err error, short int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fault, d.short = err, short
}

// FailReads makes every read fail until it is called with nil.
func (d *FaultyDisk) FailReads(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reads = err
}

// FailSyncs makes every sync fail until it is called with nil.
func (d *FaultyDisk) FailSyncs(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.syncs = err
}

// Left sets the free space.
func (d *FaultyDisk) Left(bytes uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.left = &bytes
}

func (d *FaultyDisk) state() (short int, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.short, d.fault
}

func (d *FaultyDisk) open(path string, flag int) (file, error) {
	if _, err := d.state(); err != nil && flag&os.O_CREATE != 0 {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	f, err := osDisk{}.open(path, flag)
	if err != nil {
		return nil, err
	}
	return faultyFile{f, d, path}, nil
}

func (d *FaultyDisk) free(dir string) (uint64, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.left != nil {
		return *d.left, true
	}
	return osDisk{}.free(dir)
}

type faultyFile struct {
	file
	d    *FaultyDisk
	path string
}

func (f faultyFile) WriteAt(p []byte, at int64) (int, error) {
	short, err := f.d.state()
	if err == nil {
		return f.file.WriteAt(p, at)
	}
	n, _ := f.file.WriteAt(p[:min(short, len(p))], at)
	return n, &os.PathError{Op: "write", Path: f.path, Err: err}
}

func (f faultyFile) ReadAt(p []byte, at int64) (int, error) {
	f.d.mu.Lock()
	err := f.d.reads
	f.d.mu.Unlock()
	if err != nil {
		return 0, &os.PathError{Op: "read", Path: f.path, Err: err}
	}
	return f.file.ReadAt(p, at)
}

func (f faultyFile) Sync() error {
	f.d.mu.Lock()
	err := f.d.syncs
	f.d.mu.Unlock()
	if err != nil {
		return &os.PathError{Op: "sync", Path: f.path, Err: err}
	}
	return f.file.Sync()
}

func (f faultyFile) Truncate(size int64) error {
	if _, err := f.d.state(); err != nil && !errors.Is(err, syscall.ENOSPC) {
		return &os.PathError{Op: "truncate", Path: f.path, Err: err}
	}
	return f.file.Truncate(size)
}

// Segments returns the files with records in the folder.
func Segments(t testing.TB, dir string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, slotPrefix+"*", "*"+segmentSuffix))
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

// Parts of the format, and limits, for tests.
const (
	HeaderBytes    = headerBytes
	FrameBytes     = frameBytes
	BatchRecords   = batchRecords
	MaxQuarantined = maxQuarantined
	AdoptEvery     = adoptEvery
	LastAttempt    = lastAttempt
	RecycleBytes   = recycleBytes
)
