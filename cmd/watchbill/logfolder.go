package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/watchbill/watchbill/internal/report"
	"github.com/watchbill/watchbill/internal/text"
)

// logFolder holds the log files of a folder and the errors of reading them.
type logFolder struct {
	dir    string
	names  []string
	faults []error
}

// openLogFolder finds the log files.
func openLogFolder(wrong *faults, dir string) *logFolder {
	entries, err := os.ReadDir(dir)
	wrong.keep("--log-dir", err)
	f := &logFolder{dir: dir}
	for _, entry := range entries {
		if report.IsLogFile(entry.Name()) {
			f.names = append(f.names, entry.Name())
		}
	}
	return f
}

// analyse returns the analysis of the files' lines in a window. Unreadable files are recorded for complain.
func (f *logFolder) analyse(ctx context.Context, w report.Window, doing func(string)) (*report.Logs, error) {
	analyser := report.NewAnalyser(w)
	for _, name := range f.names {
		doing("reading " + name)
		err := f.read(ctx, analyser, name)
		if ctx.Err() != nil {
			return nil, errInterrupted
		}
		if err != nil {
			f.faults = append(f.faults, err)
		}
	}
	return analyser.Logs(), nil
}

func (f *logFolder) read(ctx context.Context, analyser *report.Analyser, name string) error {
	path := filepath.Join(f.dir, name)
	// Opening a pipe would block until another process writes to it.
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file", path)
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := analyser.Read(&interruptible{ctx, file}); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// complain lists on stderr the files that are missing from the report.
func (f *logFolder) complain(c console) {
	if len(f.names) == 0 {
		c.note("no log files in %s", f.dir)
	}
	for _, err := range f.faults {
		c.note("%s", text.OneLine(err.Error()))
	}
}

// interruptible is a reader that stops when its context is done.
type interruptible struct {
	ctx context.Context // io.Reader has no parameter for it
	r   io.Reader
}

func (i *interruptible) Read(p []byte) (int, error) {
	if err := i.ctx.Err(); err != nil {
		return 0, err
	}
	return i.r.Read(p)
}
