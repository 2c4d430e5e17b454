package logging

import (
	"os"
	"syscall"
	"testing"
)

func makeFIFO(tb testing.TB, path string) {
	tb.Helper()
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		tb.Fatal(err)
	}
}

// newFIFO creates a FIFO that is open for reading but is not read.
func newFIFO(tb testing.TB, path string) *os.File {
	tb.Helper()
	makeFIFO(tb, path)
	reader, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		tb.Fatal(err)
	}
	return reader
}
