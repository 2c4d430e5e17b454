package logging

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"
)

const (
	logFileBytes   = 10 << 20 // part of the contract, as is the number of backups
	logFileBackups = 5

	// checkEvery is how often the path of a log file is checked. The file may have been moved or its directory removed;
	// until that is noticed, writes succeed and their lines are lost.
	checkEvery = time.Second
)

// rotatingFile is a log file with numbered backups: FILE.1 is the newest, FILE.5 the oldest. Each Write is one line,
// and a line is never split between files. A failed Write may be followed by one that succeeds, since each Write opens,
// creates and shifts files as needed. A rotatingFile is safe for concurrent use.
//
// If files cannot be shifted, lines are rejected and the file does not exceed its limit.
type rotatingFile struct {
	path     string
	maxBytes int64
	backups  int
	now      func() time.Time

	mu      sync.Mutex
	file    *os.File // nil until opened, and after a failure
	size    int64
	checked time.Time
	closed  bool
}

// openRotatingFile opens or creates the file and its directory. Existing contents are kept and count against the limit.
func openRotatingFile(path string, maxBytes int64, backups int, now func() time.Time) (*rotatingFile, error) {
	f := &rotatingFile{path: path, maxBytes: maxBytes, backups: backups, now: now}
	if err := f.open(); err != nil {
		return nil, err
	}
	return f, nil
}

// Write appends p, which should be one whole line. It returns os.ErrClosed after Close.
func (f *rotatingFile) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return 0, fmt.Errorf("write %s: %w", f.path, os.ErrClosed)
	}
	if err := f.ready(int64(len(p))); err != nil {
		return 0, err
	}
	n, err := f.file.Write(p)
	if err != nil && n > 0 && f.file.Truncate(f.size) == nil {
		n = 0 // part of a line would spoil the next one
	}
	f.size += int64(n)
	return n, err
}

// Close syncs and closes the file. A second Close does nothing.
func (f *rotatingFile) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	if f.file == nil {
		return nil
	}
	err := f.file.Sync()
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EINVAL) {
		err = nil // a pipe or a device, which cannot be synced
	}
	return errors.Join(err, f.close())
}

// ready ensures that the file is open, is the one at its path, and has space for a line of n bytes.
func (f *rotatingFile) ready(n int64) error {
	if now := f.now(); f.file != nil && now.Sub(f.checked).Abs() >= checkEvery {
		f.checked = now
		if !f.inPlace() {
			_ = f.close() // it was moved or removed, so its errors do not matter
		}
	}
	if f.file == nil {
		if err := f.open(); err != nil {
			return err
		}
	}
	if f.size == 0 || f.size+n <= f.maxBytes {
		return nil
	}
	if err := f.shift(); err != nil {
		return err
	}
	_ = f.close() // its lines are written, and it is now a backup
	return f.open()
}

func (f *rotatingFile) open() error {
	if err := os.MkdirAll(filepath.Dir(f.path), 0o750); err != nil {
		return err
	}
	file, err := os.OpenFile(f.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o640)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err != nil {
		return errors.Join(err, file.Close())
	}
	f.file, f.size, f.checked = file, info.Size(), f.now()
	return nil
}

func (f *rotatingFile) close() error {
	err := f.file.Close()
	f.file = nil
	return err
}

// inPlace reports whether the path still names the open file, and updates its size.
func (f *rotatingFile) inPlace() bool {
	named, err := os.Stat(f.path)
	if err != nil {
		return false
	}
	open, err := f.file.Stat()
	if err != nil || !os.SameFile(named, open) {
		return false
	}
	f.size = open.Size()
	return true
}

// shift makes the file the newest backup. Only backups before the first gap move up, so that no backup is lost when a
// partly failed shift is repeated.
func (f *rotatingFile) shift() error {
	last := 1
	for last < f.backups {
		if _, err := os.Lstat(f.backup(last)); errors.Is(err, fs.ErrNotExist) {
			break
		}
		last++
	}
	for i := last; i > 1; i-- {
		if err := os.Rename(f.backup(i-1), f.backup(i)); err != nil {
			return err
		}
	}
	return os.Rename(f.path, f.backup(1))
}

func (f *rotatingFile) backup(i int) string { return f.path + "." + strconv.Itoa(i) }
