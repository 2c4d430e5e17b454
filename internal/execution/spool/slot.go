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

	onlyOurs       = 0o600 // what people asked agents is nobody else's business
	onlyOursFolder = 0o700
)

// slot is a folder of segments that one process holds at a time.
type slot struct {
	dir      string
	lock     *os.File
	segments []*segment // oldest first; records are appended to the last one
	next     uint64     // number of the next segment
	oldest   time.Time  // when what waits longest began; zero: nothing waits
	folder   bool       // files were made since the folder was last synced
}

func slotName(i int) string { return fmt.Sprintf("%s%03d", slotPrefix, i) }

// holdSlot makes the slot if need be, and holds it; it returns nil where another process does.
func holdSlot(dir string) (*slot, error) {
	for range 10 { // as long as others take the folder away between these steps
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
		_ = lock.Close() // Its last holder removed it just before we got it.
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

// isAt says whether the open file is still the one that its name leads to.
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

// slotNames lists the slots that there are.
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

// waiting counts the records that were not delivered, and their bytes.
func (sl *slot) waiting() (count int, bytes int64) {
	for _, g := range sl.segments {
		count += g.waiting
		bytes += g.size - g.delivered
	}
	return count, bytes
}

// size is what the slot's segments take up on disk.
func (sl *slot) size() (bytes int64) {
	for _, g := range sl.segments {
		bytes += g.size
	}
	return bytes
}

// forget takes a segment off the list.
func (sl *slot) forget(g *segment) {
	sl.segments = slices.DeleteFunc(sl.segments, func(other *segment) bool { return other == g })
}

// remove removes the file of a segment whose records were all delivered.
func (g *segment) remove() error {
	if g.aside != "" {
		return errors.Join(os.Rename(g.path, g.aside), g.file.Close())
	}
	err := os.Remove(g.path)
	if errors.Is(err, fs.ErrNotExist) { // someone else did, see missing
		err = nil
	}
	return errors.Join(err, g.file.Close())
}

// letGo closes the slot's files and gives the slot up: whoever wants it may have it. An empty one is removed.
func (sl *slot) letGo() error {
	var faults []error
	for _, g := range slices.Clone(sl.segments) {
		if g.waiting == 0 {
			sl.forget(g)
			faults = append(faults, g.remove())
			continue
		}
		faults = append(faults, g.file.Close())
	}
	if len(sl.segments) == 0 && isAt(sl.lock) { // else it is another process's by now
		// In this order and with the lock held, so that another process either finds all of it or makes it anew. What it
		// makes in between stays: the folder is not empty then.
		_ = os.Remove(filepath.Join(sl.dir, probeName)) // seldom there
		if err := os.Remove(sl.lock.Name()); err == nil {
			_ = os.Remove(sl.dir)
		}
	}
	sl.segments = nil
	return errors.Join(append(faults, sl.lock.Close())...)
}
