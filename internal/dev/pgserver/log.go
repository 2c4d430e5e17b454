package pgserver

import (
	"bytes"
	"os"
	"sync"
)

const (
	maxLogBytes  = 8 << 20 // of a log file; one predecessor is kept
	logTailBytes = 2 << 10
)

// logFile is the server's log. It has a maximum size and never blocks the server. PostgreSQL's log collector cannot
// limit a file's size under one name.
type logFile struct {
	mu   sync.Mutex
	path string
	file *os.File
	size int64
	tail []byte // the last lines, for errors
}

func openLog(path string) (*logFile, error) {
	l := &logFile{path: path}
	if err := l.open(); err != nil {
		return nil, err
	}
	return l, nil
}

func (l *logFile) open() error {
	file, err := os.OpenFile(l.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err != nil {
		_ = file.Close()
		return err
	}
	l.file, l.size = file, info.Size()
	return nil
}

// Write never returns an error, which would close the pipe that the server writes to. If the disk is full, lines are
// lost.
func (l *logFile) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tail = append(l.tail, p...)
	l.tail = bytes.Clone(l.tail[max(0, len(l.tail)-logTailBytes):])
	if l.size+int64(len(p)) > maxLogBytes {
		l.rotate()
	}
	n, _ := l.file.Write(p)
	l.size += int64(n)
	return len(p), nil
}

// rotate renames the file to that of its predecessor. If that fails the file is truncated, to keep its size limited.
func (l *logFile) rotate() {
	if os.Rename(l.path, l.path+".1") == nil {
		full := l.file
		if l.open() == nil {
			_ = full.Close()
			return
		}
	}
	if l.file.Truncate(0) == nil {
		l.size = 0
	}
}

// lastLines returns the last lines that the server wrote.
func (l *logFile) lastLines() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	tail := l.tail
	if len(tail) == logTailBytes {
		if end := bytes.IndexByte(tail, '\n'); end >= 0 {
			tail = tail[end+1:]
		}
	}
	return bytes.TrimSpace(tail)
}

// Close closes the file. Later writes are lost.
func (l *logFile) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.file.Close()
}
