package delivery

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"

	reportjob "github.com/watchbill/watchbill/internal/report/job"
)

// folder is one on a volume.
type folder struct {
	reportjob.File
	options Options
}

func (f folder) put(ctx context.Context, c content) (string, error) {
	const grace = 2 * time.Second
	return unlessStuck(ctx, grace, func() (string, error) { return f.write(c) })
}

// unlessStuck gives up on a volume that does not answer, as those of other machines can: what waits for it cannot be
// interrupted. What is about to be done when the context ends has a moment more.
func unlessStuck(ctx context.Context, grace time.Duration, write func() (string, error)) (string, error) {
	type outcome struct {
		note string
		err  error
	}
	done := make(chan outcome, 1)
	go func() {
		note, err := write()
		done <- outcome{note, err}
	}()
	var late <-chan time.Time
	for end := ctx.Done(); ; {
		select {
		case o := <-done:
			return o.note, o.err
		case <-end:
			end, late = nil, time.After(grace)
		case <-late:
			return "", errors.New("the volume does not answer")
		}
	}
}

// write makes the file, whole or not at all, and deletes those that are outdated. Links in the volume cannot lead it out of
// it: it is not ours alone.
func (f folder) write(c content) (note string, err error) {
	volume, err := os.OpenRoot(f.Root)
	if err != nil {
		return "", failed("open the volume", err)
	}
	defer volume.Close()
	dir := volume
	if f.Path != "" {
		if err := volume.MkdirAll(f.Path, 0o755); err != nil {
			return "", failed("make the folder", err)
		}
		if dir, err = volume.OpenRoot(f.Path); err != nil {
			return "", failed("open the folder", err)
		}
		defer dir.Close()
	}
	if err := f.replace(dir, c); err != nil {
		return "", failed("write "+c.file(), err)
	}
	if err := f.prune(dir, c); err != nil {
		return fmt.Sprintf("old reports could not be deleted: %v", withoutPath(err)), nil
	}
	return "", nil
}

// replace puts the file in its place when it is complete and on the disk.
func (f folder) replace(dir *os.Root, c content) error {
	name := c.file()
	temporary := fmt.Sprintf(".%s-%08x.tmp", name, uint32(f.options.Random()*(1<<32-1)))
	file, err := dir.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = file.Write(c.body)
	if err == nil {
		err = readable(file)
	}
	if err == nil {
		err = file.Sync()
	}
	err = errors.Join(err, file.Close())
	if err == nil {
		err = dir.Rename(temporary, name)
	}
	if err != nil {
		_ = dir.Remove(temporary) // what is left, a later run deletes
		return err
	}
	return flush(dir)
}

// readable lets others read a file, whatever the umask. Volumes that have no modes may refuse that.
func readable(file *os.File) error {
	err := file.Chmod(0o644)
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	return err
}

// flush brings the folder's entries to the disk, where a file system can do that.
func flush(dir *os.Root) error {
	entries, err := dir.Open(".")
	if err != nil {
		return err
	}
	defer entries.Close()
	if err := entries.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return nil
}

// abandoned is how old a temporary file is that nobody writes to any more.
const abandoned = time.Hour

// prune deletes the report's own files beyond the newest, and what its runs left behind when they were killed.
func (f folder) prune(dir *os.Root, c content) error {
	entries, err := dir.Open(".")
	if err != nil {
		return err
	}
	defer entries.Close()
	var own, left []string
	for {
		batch, err := entries.ReadDir(1000)
		for _, entry := range batch {
			switch {
			case !entry.Type().IsRegular():
			case reportjob.Owns(entry.Name(), c.Spec.Name, c.format):
				own = append(own, entry.Name())
			case f.isAbandoned(entry, c):
				left = append(left, entry.Name())
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
	}
	var faults []error
	for _, name := range append(left, reportjob.Outdated(own, c.Spec.Name, c.format, c.Spec.Keep, c.file())...) {
		if err := dir.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			faults = append(faults, err)
		}
	}
	if len(faults) > 0 {
		return faults[0]
	}
	return nil
}

func (f folder) isAbandoned(entry fs.DirEntry, c content) bool {
	name, dotted := strings.CutPrefix(entry.Name(), ".")
	name, suffixed := strings.CutSuffix(name, ".tmp")
	cut := len(name) - len("-00000000")
	if !dotted || !suffixed || cut < 0 || name[cut] != '-' || !reportjob.Owns(name[:cut], c.Spec.Name, c.format) {
		return false
	}
	info, err := entry.Info()
	return err == nil && f.options.Now().Sub(info.ModTime()) > abandoned
}

// failed says what went wrong, and whether another try may help.
func failed(doing string, err error) error {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return final("cannot %s: the volume is full", doing)
	case errors.Is(err, syscall.EROFS):
		return final("cannot %s: the volume is read-only", doing)
	case errors.Is(err, fs.ErrPermission):
		return final("cannot %s: permission denied; reports are written by user and group 65532", doing)
	}
	for _, passing := range []syscall.Errno{syscall.EIO, syscall.ESTALE, syscall.EBUSY, syscall.ETIMEDOUT, syscall.EINTR, syscall.EAGAIN} {
		if errors.Is(err, passing) {
			return fmt.Errorf("cannot %s: %w", doing, withoutPath(err))
		}
	}
	// Such as a link that leads out of the volume, or a file where a folder should be.
	return final("cannot %s: %w", doing, withoutPath(err))
}

// withoutPath is an error of the file system's without the path, which the output's name says.
func withoutPath(err error) error {
	var path *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &path):
		return withoutPath(path.Err)
	case errors.As(err, &link):
		return withoutPath(link.Err)
	}
	return err
}
