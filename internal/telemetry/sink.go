package telemetry

import (
	"fmt"
	"io"
	"sync/atomic"
	"time"
)

// reportEvery bounds what a sink that goes on failing says about it.
const reportEvery = time.Hour

// sink writes log lines where a failure must not matter: it never returns an error, which zap would print for each
// line. The first lost line is told on stderr, further ones at most once an hour.
type sink struct {
	name   string
	out    io.Writer
	stderr io.Writer
	now    func() time.Time

	lost     atomic.Int64
	reported atomic.Int64 // Unix nanoseconds; 0 before the first report
}

func (s *sink) Write(p []byte) (int, error) {
	if _, err := s.out.Write(p); err != nil {
		s.report(err, s.lost.Add(1))
	}
	return len(p), nil
}

// Sync is zap's, which calls it before a crash.
func (s *sink) Sync() error {
	if file, ok := s.out.(*rotatingFile); ok {
		return file.Sync()
	}
	return nil // a terminal or a pipe cannot be synced and says so with an error
}

func (s *sink) report(err error, lost int64) {
	now, before := s.now().UnixNano(), s.reported.Load()
	if before != 0 && now-before < int64(reportEvery) || !s.reported.CompareAndSwap(before, now) {
		return
	}
	_, _ = fmt.Fprintf(s.stderr, "watchbill: cannot log to %s: %v (lines lost so far: %d)\n", s.name, err, lost)
}
