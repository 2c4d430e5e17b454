package logging

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// testClock is a clock that tests set.
type testClock struct {
	mu   sync.Mutex
	time time.Time
}

func (c *testClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.time
}

func (c *testClock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.time = c.time.Add(d)
}

func newTestFile(t *testing.T, path string, maxBytes int64, backups int) (*rotatingFile, *testClock) {
	t.Helper()
	clock := &testClock{time: epoch}
	f, err := openRotatingFile(path, maxBytes, backups, clock.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f, clock
}

func mustWrite(t *testing.T, f *rotatingFile, line string) {
	t.Helper()
	if n, err := f.Write([]byte(line)); n != len(line) || err != nil {
		t.Fatalf("Write(%q) = %d, %v", line, n, err)
	}
}

// contents returns the contents of the files in the folder of path, by the suffix of their names: "" is the file
// itself.
func contents(t *testing.T, path string) map[string]string {
	t.Helper()
	names, err := filepath.Glob(path + "*")
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]string)
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		got[strings.TrimPrefix(name, path)] = string(b)
	}
	return got
}

func TestRotation(t *testing.T) {
	tests := []struct {
		name   string
		before map[string]string
		lines  []string
		want   map[string]string
	}{
		{"fits exactly", nil, []string{"12345\n", "789\n"}, map[string]string{"": "12345\n789\n"}},
		{"one byte too many", nil, []string{"12345\n", "6789\n"}, map[string]string{"": "6789\n", ".1": "12345\n"}},
		{
			"newest is 1, oldest is gone", nil,
			[]string{"first-\n", "second\n", "third-\n", "fourth\n", "fifth-\n"},
			map[string]string{"": "fifth-\n", ".1": "fourth\n", ".2": "third-\n", ".3": "second\n"},
		},
		{"a line longer than a file", nil, []string{"a\n", "0123456789abcdef\n", "b\n"}, map[string]string{
			"": "b\n", ".1": "0123456789abcdef\n", ".2": "a\n",
		}},
		{"what was there counts", map[string]string{"": "before\n"}, []string{"after\n"}, map[string]string{
			"": "after\n", ".1": "before\n",
		}},
		{"appends to what was there", map[string]string{"": "old\n"}, []string{"new\n"}, map[string]string{"": "old\nnew\n"}},
		{
			"only backups before a gap move",
			map[string]string{"": "now---\n", ".1": "one\n", ".3": "three\n"},
			[]string{"next\n"},
			map[string]string{"": "next\n", ".1": "now---\n", ".2": "one\n", ".3": "three\n"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "logs", "a.log")
			for suffix, content := range tt.before {
				if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path+suffix, []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			f, _ := newTestFile(t, path, 10, 3)
			for _, line := range tt.lines {
				mustWrite(t, f, line)
			}
			if err := f.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
			if got := contents(t, path); fmt.Sprint(got) != fmt.Sprint(tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestRotationConcurrently(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log")
	const writers, each = 8, 200
	f, _ := newTestFile(t, path, 1000, 100)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				mustWrite(t, f, fmt.Sprintf("%d-%03d\n", w, i))
			}
		})
	}
	wg.Wait()
	var got []string
	for suffix, content := range contents(t, path) {
		if len(content) > 1000 {
			t.Errorf("a.log%s has %d bytes, want at most 1000", suffix, len(content))
		}
		got = append(got, strings.Split(strings.TrimSuffix(content, "\n"), "\n")...)
	}
	slices.Sort(got)
	got = slices.Compact(got)
	if len(got) != writers*each || len(got[0]) != len("0-000") {
		t.Errorf("got %d different lines, want %d", len(got), writers*each)
	}
}

func TestRotatingFileThatWasMoved(t *testing.T) {
	for name, move := range map[string]func(path string) error{
		"moved by somebody":  func(path string) error { return os.Rename(path, path+"-archive") },
		"removed":            os.Remove,
		"directory removed":  func(path string) error { return os.RemoveAll(filepath.Dir(path)) },
		"replaced by a copy": func(path string) error { return errors.Join(os.Remove(path), os.WriteFile(path, nil, 0o600)) },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "logs", "a.log")
			f, clock := newTestFile(t, path, 1000, 3)
			mustWrite(t, f, "before\n")
			if err := move(path); err != nil {
				t.Fatal(err)
			}
			clock.Advance(checkEvery)
			mustWrite(t, f, "after\n")
			if got := contents(t, path)[""]; got != "after\n" {
				t.Errorf("file holds %q, want only the line after", got)
			}
		})
	}
}

func TestRotatingFileSurvivesWriteErrors(t *testing.T) {
	t.Run("directory became a file", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "logs", "a.log")
		dir := filepath.Dir(path)
		f, clock := newTestFile(t, path, 1000, 3)
		if err := errors.Join(os.RemoveAll(dir), os.WriteFile(dir, nil, 0o600)); err != nil {
			t.Fatal(err)
		}
		clock.Advance(checkEvery)
		if _, err := f.Write([]byte("lost\n")); err == nil {
			t.Error("Write without a directory: no error")
		}
		if err := os.Remove(dir); err != nil {
			t.Fatal(err)
		}
		mustWrite(t, f, "found\n")
		if got := contents(t, path)[""]; got != "found\n" {
			t.Errorf("file holds %q, want the line after the failure", got)
		}
	})
	t.Run("shift fails", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "a.log")
		obstacle := filepath.Join(path+".1", "x")
		if err := os.MkdirAll(filepath.Join(path+".2", "x"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(obstacle, 0o700); err != nil {
			t.Fatal(err)
		}
		f, _ := newTestFile(t, path, 10, 2)
		mustWrite(t, f, "12345678\n")
		for range 3 {
			if _, err := f.Write([]byte("refused\n")); err == nil {
				t.Fatal("Write that cannot shift: no error")
			}
		}
		if err := errors.Join(os.RemoveAll(path+".1"), os.RemoveAll(path+".2")); err != nil {
			t.Fatal(err)
		}
		mustWrite(t, f, "again\n")
		want := map[string]string{"": "again\n", ".1": "12345678\n"}
		if got := contents(t, path); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
	t.Run("closed", func(t *testing.T) {
		f, _ := newTestFile(t, filepath.Join(t.TempDir(), "a.log"), 10, 2)
		if err := errors.Join(f.Close(), f.Close()); err != nil {
			t.Errorf("Close twice: %v", err)
		}
		if _, err := f.Write([]byte("x")); !errors.Is(err, os.ErrClosed) {
			t.Errorf("Write after Close: %v, want os.ErrClosed", err)
		}
	})
}
