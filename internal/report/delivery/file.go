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

// folder is a directory on a volume.
type folder struct {
	reportjob.File
	options Options
}

func (f folder) put(ctx context.Context, c content) (string, error) {
	const grace = 2 * time.Second
	return unlessStuck(ctx, grace, func() (string, error) { return f.write(c) })
}

// unlessStuck calls write and stops waiting for it, since calls to a hanging network volume cannot be interrupted. When the
// context is done write has grace to finish.
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
			return "", errors.New("the volume does not respond")
		}
	}
}

// write writes the file atomically and deletes outdated ones. Links cannot lead out of the volume, which others may write to.
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

// replace writes and syncs a temporary file and renames it.
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
		_ = dir.Remove(temporary) // if it fails, a later run deletes it
		return err
	}
	return flush(dir)
}

// readable makes a file readable by others regardless of the umask. Volumes without modes may reject that.
func readable(file *os.File) error {
	err := file.Chmod(0o644)
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	return err
}

// flush syncs the directory if the file system supports it.
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

// abandoned is the age after which temporary files are deleted.
const abandoned = time.Hour

// prune deletes the report's files beyond the newest, and temporary files of killed runs.
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

// failed returns an error, final if a retry would not help.
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
	// For example a link that leads out of the volume, or a file in place of a directory.
	return final("cannot %s: %w", doing, withoutPath(err))
}

// withoutPath returns a file system error without its path, which the output's name contains.
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
