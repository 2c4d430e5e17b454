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

// New returns a File with a limit of most bytes.
func New(path string, limit int64) *File { return &File{path: path, limit: limit} }

// Read reads the file and reports whether its contents differ from the last read, valid or not. Of a file that is too
// large it returns one byte more than the limit, for the parser to reject.
func (f *File) Read() (content []byte, changed bool, err error) {
	info, err := os.Stat(f.path)
	if err != nil {
		return nil, false, err
	}
	if !info.Mode().IsRegular() { // a pipe would block
		return nil, false, fmt.Errorf("%s is no file", f.path)
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
