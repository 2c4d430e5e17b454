package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// newFile is a file that appears at its path only when it is complete. It is created early, so that an unwritable path
// is reported before the work is done.
type newFile struct {
	path      string
	file      *os.File
	temporary string // its name until commit; empty if path is no regular file and is written to
	committed bool
}

// createFile creates the file and the folders of its path.
func createFile(path string) (*newFile, error) {
	f := &newFile{path: path}
	if target, err := filepath.EvalSymlinks(path); err == nil {
		f.path = target
	}
	info, err := os.Stat(f.path)
	switch {
	case err == nil && info.IsDir():
		return nil, fmt.Errorf("%s is a folder", path)
	case err == nil && !info.Mode().IsRegular():
		f.file, err = os.OpenFile(f.path, os.O_WRONLY, 0)
		return f, err
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	folder, name := filepath.Split(f.path)
	if folder == "" {
		folder = "."
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, err
	}
	f.file, err = os.CreateTemp(folder, "."+name+"-*")
	if err != nil {
		return nil, err
	}
	f.temporary = f.file.Name()
	return f, nil
}

// commit writes the file and renames it to its path.
func (f *newFile) commit(content []byte) error {
	_, err := f.file.Write(content)
	if f.temporary != "" {
		err = errors.Join(err, f.file.Chmod(0o644), f.file.Sync())
	}
	err = errors.Join(err, f.file.Close())
	if err == nil && f.temporary != "" {
		err = os.Rename(f.temporary, f.path)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", f.path, err)
	}
	f.committed = true
	return nil
}

// discard removes the file unless it was committed.
func (f *newFile) discard() {
	if f.committed {
		return
	}
	_ = f.file.Close() // it may be closed already
	if f.temporary != "" {
		_ = os.Remove(f.temporary) // no way to report it
	}
}
