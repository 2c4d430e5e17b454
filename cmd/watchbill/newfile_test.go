package main

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestNewFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(path, content string) {
		t.Helper()
		f, err := createFile(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.discard()
		if err := f.commit([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	want := func(path, content string) {
		t.Helper()
		if got, err := os.ReadFile(path); err != nil || string(got) != content {
			t.Errorf("%s: want %q, got %q, %v", path, content, got, err)
		}
	}

	path := filepath.Join(dir, "new", "file")
	write(path, "first")
	write(path, "second")
	want(path, "second")
	wantEntries(t, filepath.Dir(path), "file")

	// A link remains, and its target is replaced.
	link := filepath.Join(dir, "link")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	write(link, "third")
	want(path, "third")
	if info, err := os.Lstat(link); err != nil || info.Mode().Type() != os.ModeSymlink {
		t.Errorf("want a link still, got %v, %v", info, err)
	}

	// A pipe, as /dev/stdout may be, is written to and not replaced.
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	read := make(chan string)
	go func() {
		content, _ := os.ReadFile(pipe)
		read <- string(content)
	}()
	write(pipe, "fourth")
	if got := <-read; got != "fourth" {
		t.Errorf("want fourth through the pipe, got %q", got)
	}
	if info, err := os.Lstat(pipe); err != nil || info.Mode().Type() != os.ModeNamedPipe {
		t.Errorf("want a pipe still, got %v, %v", info, err)
	}

	// A discarded file leaves no trace.
	f, err := createFile(filepath.Join(dir, "none"))
	if err != nil {
		t.Fatal(err)
	}
	f.discard()
	wantEntries(t, dir, "link", "new", "pipe")

	for _, path := range []string{dir, filepath.Join(path, "below"), filepath.Join(dir, "new") + "/"} {
		if f, err := createFile(path); err == nil {
			f.discard()
			t.Errorf("%s: want an error, got none", path)
		}
	}
}
