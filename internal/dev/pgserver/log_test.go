package pgserver

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLogIsBounded(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "postgresql.log")
	line := append(bytes.Repeat([]byte("x"), 64<<10-1), '\n')
	for range 2 { // as by two runs
		log, err := openLog(path)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 * maxLogBytes / len(line) {
			if n, err := log.Write(line); n != len(line) || err != nil {
				t.Fatal(n, err)
			}
		}
		if err := log.Close(); err != nil {
			t.Fatal(err)
		}
	}
	files, err := filepath.Glob(path + "*")
	if err != nil || len(files) != 2 {
		t.Errorf("want a log and its predecessor, got %v %v", files, err)
	}
	for _, name := range files {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() > maxLogBytes || info.Size() == 0 {
			t.Errorf("%s holds %d bytes", name, info.Size())
		}
	}
}

func TestLogNeverRefuses(t *testing.T) {
	t.Parallel()
	log, err := openLog(filepath.Join(t.TempDir(), "postgresql.log"))
	if err != nil {
		t.Fatal(err)
	}
	if err := log.Close(); err != nil { // simulates a full disk
		t.Fatal(err)
	}
	for i := range 200 {
		if _, err := fmt.Fprintf(log, "line %d of the log\n", i); err != nil {
			t.Fatal(err)
		}
	}
	got := string(log.lastLines())
	if !strings.HasPrefix(got, "line ") || !strings.HasSuffix(got, "line 199 of the log") || len(got) > logTailBytes {
		t.Errorf("want whole last lines, got %q", got)
	}
}
