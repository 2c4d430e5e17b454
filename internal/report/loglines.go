package report

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

const (
	// maxLine is the maximum length of a line in bytes. Watchbill's are some hundred bytes.
	maxLine = 64 << 10
	// maxUnpacked is the maximum unpacked size of a file: a hundred times the size at which Watchbill's are rotated.
	maxUnpacked = 1 << 30
	// maxSampled is the maximum number of requests that a line may represent.
	maxSampled = 1_000_000
	// maxKey is the maximum length of a method, route, query name or SQLSTATE, in bytes. Watchbill's are shorter.
	maxKey = 256
)

// Read reads a log file, plain or compressed with gzip. It counts and skips lines that it cannot parse. An error means
// that the file could not be read to its end; the lines before it count.
func (a *Analyser) Read(r io.Reader) error {
	a.logs.Files++
	err := a.read(r)
	if err != nil {
		a.logs.FilesCutShort++
		return fmt.Errorf("reading a log file: %w", err)
	}
	return nil
}

func (a *Analyser) read(r io.Reader) error {
	lines := bufio.NewReaderSize(r, maxLine)
	if magic, err := lines.Peek(2); err != nil || magic[0] != 0x1f || magic[1] != 0x8b {
		return a.readLines(lines)
	}
	unpacked, err := gzip.NewReader(lines)
	if err != nil {
		return err
	}
	limited := &io.LimitedReader{R: unpacked, N: maxUnpacked}
	if err := a.readLines(bufio.NewReaderSize(limited, maxLine)); err != nil {
		return err
	}
	if limited.N == 0 {
		return fmt.Errorf("it unpacks to %d bytes or more", maxUnpacked)
	}
	return nil
}

func (a *Analyser) readLines(lines *bufio.Reader) error {
	tooLong := false // the current line
	for {
		line, err := lines.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			tooLong = true
			continue
		}
		switch {
		case tooLong:
			a.logs.Lines++
			a.logs.UnreadableLines++
			tooLong = false
		case len(bytes.TrimSpace(line)) > 0:
			a.line(line)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// logLine is the fields of request and query lines that are used.
type logLine struct {
	Time     string  `json:"ts"`
	Level    string  `json:"level"`
	Message  string  `json:"msg"`
	Method   string  `json:"method"`
	Route    string  `json:"route"`
	Status   int     `json:"status"`
	Duration float64 `json:"duration_ms"`
	Sampled  *int64  `json:"sampled"`
	Query    string  `json:"query"`
	Error    string  `json:"error"`
	SQLState string  `json:"sqlstate"`
	Slow     bool    `json:"slow"`
}

// The messages of lines that are counted in detail.
const (
	requestMessage = "request"
	queryMessage   = "query"
)

func (a *Analyser) line(b []byte) {
	a.logs.Lines++
	var l logLine
	err := json.Unmarshal(b, &l)
	detailed := l.Message == requestMessage || l.Message == queryMessage
	if wrongType := (*json.UnmarshalTypeError)(nil); errors.As(err, &wrongType) && l.Message != "" && !detailed {
		err = nil // another kind of line with a field of the same name
	}
	at, timeErr := time.Parse(time.RFC3339Nano, l.Time)
	if err != nil || timeErr != nil || detailed && !l.valid() {
		a.logs.UnreadableLines++
		return
	}
	if a.window != (Window{}) && !a.window.Contains(at) {
		a.logs.OutsideWindow++
		return
	}
	a.seen(at.UTC(), l.Level)
	switch l.Message {
	case requestMessage:
		a.request(l)
	case queryMessage:
		a.ran(l)
	default:
		a.logs.OtherLines++
	}
}

// valid reports whether a line of a request or query is as Watchbill writes it.
func (l *logLine) valid() bool {
	if l.Duration < 0 || l.Sampled != nil && (*l.Sampled < 1 || *l.Sampled > maxSampled) {
		return false
	}
	if l.Message == queryMessage {
		return isKey(l.Query) && len(l.SQLState) <= maxKey
	}
	return isKey(l.Method) && isKey(l.Route) && l.Status >= 100 && l.Status <= 599
}

func isKey(s string) bool { return s != "" && len(s) <= maxKey }

// times returns the number of requests or queries that the line represents.
func (l *logLine) times() int64 {
	if l.Sampled == nil {
		return 1
	}
	return *l.Sampled
}

func (a *Analyser) seen(at time.Time, level string) {
	if a.logs.First == nil || at.Before(*a.logs.First) {
		a.logs.First = &at
	}
	if a.logs.Last == nil || at.After(*a.logs.Last) {
		a.logs.Last = &at
	}
	switch level {
	case "warn", "error", "dpanic", "panic", "fatal":
		a.logs.Levels[level]++
	}
}

func (a *Analyser) request(l logLine) {
	e := a.endpoint(l.Method, l.Route)
	e.ByStatus[l.Status] += l.times()
	e.Latency.AddCount(l.Duration/1000, uint64(l.times()))
}

// ran counts a line of the query log.
func (a *Analyser) ran(l logLine) {
	q := a.query(l.Query)
	q.executed += l.times()
	q.latency.AddCount(l.Duration/1000, uint64(l.times()))
	if l.Slow {
		q.slow += l.times()
	}
	if l.Error == "" && l.SQLState == "" {
		return
	}
	q.errors += l.times()
	state := cmp.Or(l.SQLState, "unknown")
	if _, known := a.logs.Queries.BySQLState[state]; !known && len(a.logs.Queries.BySQLState) >= MaxNames {
		state = Other
	}
	a.logs.Queries.BySQLState[state] += l.times()
}
