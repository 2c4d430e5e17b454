// Package configfile reads configuration files that may change while the program runs. Callers parse them and handle
// invalid files.
package configfile

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
)

// File is a file that is read repeatedly. It is not safe for concurrent use.
type File struct {
	path  string
	limit int64
	seen  []byte // hash of the last contents; nil before the first read
}

// New returns a File for the file at path, which should have at most limit bytes; see Read.
func New(path string, limit int64) *File { return &File{path: path, limit: limit} }

// Read reads the file and reports whether its contents differ from the last read, whether or not they were valid. For a
// file that is too large it returns the first limit+1 bytes, for the parser to reject.
func (f *File) Read() (content []byte, changed bool, err error) {
	info, err := os.Stat(f.path)
	if err != nil {
		return nil, false, err
	}
	if !info.Mode().IsRegular() { // a pipe would block
		return nil, false, fmt.Errorf("%s is not a regular file", f.path)
	}
	file, err := os.Open(f.path)
	if err != nil {
		return nil, false, err
	}
	defer file.Close()
	if content, err = io.ReadAll(io.LimitReader(file, f.limit+1)); err != nil {
		return nil, false, err
	}
	hash := sha256.Sum256(content)
	changed = !bytes.Equal(hash[:], f.seen)
	f.seen = hash[:]
	return content, changed, nil
}
