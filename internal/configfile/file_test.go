package configfile_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/watchbill/watchbill/internal/configfile"
)

func TestFileIsReloaded(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	f := configfile.New(path, 5)
	if _, changed, err := f.Read(); err == nil || changed {
		t.Errorf("no file: want an error, got changed %v", changed)
	}
	for _, step := range []struct {
		write, want string
		changed     bool
	}{
		{"", "", true},
		{"", "", false},
		{"one", "one", true},
		{"one", "one", false},
		{"two", "two", true},
		{"12345", "12345", true},
		{"1234567890", "123456", true},
		{"one", "one", true},
	} {
		if err := os.WriteFile(path, []byte(step.write), 0o600); err != nil {
			t.Fatal(err)
		}
		content, changed, err := f.Read()
		if err != nil || string(content) != step.want || changed != step.changed {
			t.Errorf("%q: want %q, changed %v; got %q, %v, %v", step.write, step.want, step.changed, content, changed, err)
		}
	}
}

func TestNotAFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, pipe} {
		if _, _, err := configfile.New(path, 5).Read(); err == nil || !strings.HasSuffix(err.Error(), "is not a regular file") {
			t.Errorf("%s: want it refused, got %v", path, err)
		}
	}
}
