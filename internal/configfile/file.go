// Package configfile reads files of configuration that may change while the program runs. What is in them, and what becomes
// of a file that is wrong, is for whoever watches.
package configfile

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
)

// File is a file that is read again and again. It is not safe for concurrent use.
type File struct {
	path string
	most int64
	seen []byte // the hash of what was read last; nil: nothing was
}

// New makes one of at most so many bytes.
func New(path string, most int64) *File { return &File{path: path, most: most} }

// Read reads the file, and says whether it is another than when it was last read, good or bad. Of one that is too large it
// reads a byte more than it may have, for its parser to refuse.
func (f *File) Read() (content []byte, changed bool, err error) {
	info, err := os.Stat(f.path)
	if err != nil {
		return nil, false, err
	}
	if !info.Mode().IsRegular() { // a pipe would keep us waiting
		return nil, false, fmt.Errorf("%s is no file", f.path)
	}
	file, err := os.Open(f.path)
	if err != nil {
		return nil, false, err
	}
	defer file.Close()
	if content, err = io.ReadAll(io.LimitReader(file, f.most+1)); err != nil {
		return nil, false, err
	}
	hash := sha256.Sum256(content)
	changed = !bytes.Equal(hash[:], f.seen)
	f.seen = hash[:]
	return content, changed, nil
}
