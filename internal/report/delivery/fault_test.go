package delivery

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestFailed(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		err   error
		final bool
		want  string
	}{
		{&fs.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}, true, "cannot write x: the volume is full"},
		{&fs.PathError{Op: "write", Path: "x", Err: syscall.EDQUOT}, true, "cannot write x: the volume is full"},
		{&fs.PathError{Op: "open", Path: "x", Err: syscall.EROFS}, true, "cannot write x: the volume is read-only"},
		{&fs.PathError{Op: "open", Path: "x", Err: syscall.EACCES}, true, "cannot write x: permission denied; reports are written by user and group 65532"},
		{&fs.PathError{Op: "open", Path: "x", Err: syscall.EPERM}, true, "cannot write x: permission denied; reports are written by user and group 65532"},
		{&fs.PathError{Op: "open", Path: "x", Err: syscall.ENAMETOOLONG}, true, "cannot write x: file name too long"},
		{&fs.PathError{Op: "write", Path: "x", Err: syscall.EIO}, false, "cannot write x: input/output error"},
		{&os.LinkError{Op: "rename", Old: "x", New: "y", Err: syscall.ESTALE}, false, "cannot write x: " + syscall.ESTALE.Error()},
		{errors.Join(nil, &fs.PathError{Op: "close", Path: "x", Err: syscall.ENOSPC}), true, "cannot write x: the volume is full"},
	} {
		got := failed("write x", tt.err)
		var f *sendError
		if final := errors.As(got, &f) && f.final; final != tt.final || !strings.EqualFold(got.Error(), tt.want) {
			t.Errorf("%v: want %q (final: %t), got %q (%t)", tt.err, tt.want, tt.final, got, final)
		}
	}
}

// TestStuckVolume uses a volume that responds only after the timeout.
func TestStuckVolume(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	answered := make(chan struct{})
	_, err := unlessStuck(ctx, 20*time.Millisecond, func() (string, error) {
		<-answered
		return "", nil
	})
	close(answered)
	if got, err := unlessStuck(ctx, time.Minute, func() (string, error) { return "a note", nil }); got != "a note" || err != nil {
		t.Errorf("what is almost done when the time is over: got %q %v", got, err)
	}
	if err == nil || err.Error() != "the volume does not respond" {
		t.Errorf("got %v", err)
	}
}

func TestPause(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		try    int
		random float64
		want   time.Duration
	}{{1, 0, 500 * time.Millisecond}, {1, 0.999999999, 1500 * time.Millisecond}, {2, 0.5, 2 * time.Second}, {3, 0.5, 4 * time.Second}} {
		o := Options{Pause: time.Second, Random: func() float64 { return tt.random }}
		if got := o.pause(tt.try).Round(time.Millisecond); got != tt.want {
			t.Errorf("after try %d: want %s, got %s", tt.try, tt.want, got)
		}
	}
}

func TestRetryAfterSyntax(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 15, 8, 0, 0, 0, time.UTC)
	for header, want := range map[string]time.Duration{
		"": 0, "0": 0, "120": 2 * time.Minute, "-1": 0, "1.5": 0, "soon": 0, "99999999999999999999": 0, "2147483647": 2147483647 * time.Second,
		"Thu, 15 Jan 2026 08:01:00 GMT": time.Minute, "Thu, 15 Jan 2026 07:00:00 GMT": 0,
	} {
		if got := retryAfter(header, now); got != want {
			t.Errorf("%q: want %s, got %s", header, want, got)
		}
	}
}

func TestHidden(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		s       string
		secrets []string
		want    string
	}{
		{"the key s3cr3t is wrong", []string{"s3cr3t"}, "the key … is wrong"},
		{"the key a%2Fb+c%3D is wrong", []string{"a/b c="}, "the key … is wrong"},
		{"the key a%2Fb%20c= is wrong", []string{"a/b c="}, "the key … is wrong"},
		{"an answer", []string{"", "a", "an"}, "an answer"},
	} {
		if got := hidden(tt.s, tt.secrets...); got != tt.want {
			t.Errorf("want %q, got %q", tt.want, got)
		}
	}
	if got := sentence(fmt.Sprint(strings.Repeat("ü", 500), "\n")); got != strings.Repeat("ü", 399)+"…" {
		t.Errorf("got %q", got)
	}
}
