package spool

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	maxSlots   = 1000
	slotPrefix = "slot-"
	lockName   = "lock"

	onlyOurs       = 0o600 // prompts are private
	onlyOursFolder = 0o700
)

// slot is a directory of segments that at most one process holds.
type slot struct {
	dir      string
	lock     *os.File
	segments []*segment // oldest first; records are appended to the last one
	next     uint64     // number of the next segment
	oldest   time.Time  // when the oldest waiting execution began; zero if none waits
	folder   bool       // files were created since the directory was last synced
}

func slotName(i int) string { return fmt.Sprintf("%s%03d", slotPrefix, i) }

// holdSlot creates the slot if needed and locks it. It returns nil if another process holds it.
func holdSlot(dir string) (*slot, error) {
	for range 10 { // retries if others remove the directory between these steps
		if err := os.Mkdir(dir, onlyOursFolder); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		lock, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|os.O_CREATE, onlyOurs)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		switch err := flock(lock); {
		case errors.Is(err, unix.EWOULDBLOCK):
			return nil, lock.Close()
		case err != nil:
			return nil, errors.Join(fmt.Errorf("lock %s: %w", lock.Name(), err), lock.Close())
		}
		if isAt(lock) {
			return &slot{dir: dir, lock: lock, next: 1}, nil
		}
		_ = lock.Close() // its last holder removed it just before it was locked here
	}
	return nil, fmt.Errorf("hold %s: the folder keeps vanishing", dir)
}

func flock(f *os.File) error {
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// isAt reports whether the open file is still the one at its path.
func isAt(f *os.File) bool {
	held, err := f.Stat()
	if err != nil {
		return false
	}
	named, err := os.Stat(f.Name())
	return err == nil && os.SameFile(held, named)
}

// segmentNumbers lists the segments in a folder, oldest first.
func segmentNumbers(dir string) ([]uint64, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var numbers []uint64
	for _, entry := range entries {
		name, ok := strings.CutSuffix(entry.Name(), segmentSuffix)
		number, err := strconv.ParseUint(name, 10, 63)
		if ok && err == nil && entry.Type().IsRegular() {
			numbers = append(numbers, number)
		}
	}
	slices.SortFunc(numbers, cmp.Compare)
	return numbers, nil
}

// slotNames lists the existing slots.
func slotNames(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, entry := range entries {
		if entry.IsDir() && strings.HasPrefix(entry.Name(), slotPrefix) {
			names = append(names, entry.Name())
		}
	}
	return names, nil
}

func (sl *slot) pathOf(number uint64) string {
	return filepath.Join(sl.dir, fmt.Sprintf("%016d%s", number, segmentSuffix))
}

// waiting returns the number and bytes of undelivered records.
func (sl *slot) waiting() (count int, bytes int64) {
	for _, g := range sl.segments {
		count += g.waiting
		bytes += g.size - g.delivered
	}
	return count, bytes
}

// size returns the bytes of the slot's segments.
func (sl *slot) size() (bytes int64) {
	for _, g := range sl.segments {
		bytes += g.size
	}
	return bytes
}

// forget removes a segment from the list.
func (sl *slot) forget(g *segment) {
	sl.segments = slices.DeleteFunc(sl.segments, func(other *segment) bool { return other == g })
}

// remove removes the file of a segment whose records were all delivered.
func (g *segment) remove() error {
	if g.aside != "" {
		return errors.Join(os.Rename(g.path, g.aside), g.file.Close())
	}
	err := os.Remove(g.path)
	if errors.Is(err, fs.ErrNotExist) { // removed by someone else, see missing
		err = nil
	}
	return errors.Join(err, g.file.Close())
}

// release closes the slot's files and releases its lock. An empty slot is removed.
func (sl *slot) release() error {
	var faults []error
	for _, g := range slices.Clone(sl.segments) {
		if g.waiting == 0 {
			sl.forget(g)
			faults = append(faults, g.remove())
			continue
		}
		faults = append(faults, g.file.Close())
	}
	if len(sl.segments) == 0 && isAt(sl.lock) { // otherwise another process has it by now
		// In this order and with the lock held, so that another process finds either all of it or nothing. If it creates
		// files in between, the directory is not empty and stays.
		_ = os.Remove(filepath.Join(sl.dir, probeName)) // rarely exists
		if err := os.Remove(sl.lock.Name()); err == nil {
			_ = os.Remove(sl.dir)
		}
	}
	sl.segments = nil
	return errors.Join(append(faults, sl.lock.Close())...)
}
