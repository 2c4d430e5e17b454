package logging

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/watchbill/watchbill/internal/text"
)

// The log files' names in Options.Dir. Backups have the suffixes .1 (the newest) to .5.
const (
	AppLogFile      = "master-backend.log"
	QueryLogFile    = "database-queries.log"
	SecurityLogFile = "security-events.log"
)

const (
	openWithin = 10 * time.Second // for a log file to open: its volume may hang

	// reportEvery is the interval of messages about an output that keeps failing.
	reportEvery = time.Hour

	stderrWithin = 500 * time.Millisecond // for the last lines on stderr
)

// Options configure Logs.
type Options struct {
	Dir    string    // of the log files, created if missing; empty for no files
	Level  string    // debug, info, warn or error; defaults to info
	Stdout io.Writer // for every line of App
	Stderr io.Writer // for failures to write a log
	Now    func() time.Time

	// Secrets are known tokens and passwords to redact wherever they occur. Each part of a comma-separated list is a
	// secret as well. Secrets shorter than four bytes are ignored, since they occur in words.
	Secrets []string
}

// Logs are the program's loggers. Their lines are JSON objects with ts (RFC 3339 in UTC), level, logger and msg. All
// lines, including their fields, are redacted with redact.Text.
//
// Logging does not wait for the outputs, each of which has a bounded queue. Lines that do not fit, or cannot be
// written, are dropped and counted; see Strains and NewCollector. The program continues.
type Logs struct {
	// App writes to stdout and, with a Dir, to master-backend.log.
	App *zap.Logger
	// Queries writes to database-queries.log if there is a Dir. Warnings also go to App's outputs.
	Queries *zap.Logger
	// Security writes to stdout and, with a Dir, to security-events.log, regardless of the level. See SecurityLog.
	Security *zap.Logger

	now     func() time.Time
	level   zap.AtomicLevel
	redact  redactor
	outputs []*output // except stderr
	stderr  *output
}

// New opens the log files and starts the writers. Close stops them.
func New(opts Options) (*Logs, error) {
	logs := &Logs{now: opts.Now, level: zap.NewAtomicLevel(), redact: newRedactor(opts.Secrets)}
	if err := logs.SetLevel(opts.Level); err != nil {
		return nil, err
	}
	files, err := openLogFiles(opts)
	if err != nil {
		return nil, err
	}
	logs.stderr = (&output{name: "stderr", out: opts.Stderr, now: opts.Now, notice: logs.notice, failed: func(*output, error) {}}).start()
	stdout := logs.add("stdout", opts.Stdout, nil)
	app, queries, security := []*output{stdout}, []*output(nil), []*output{stdout}
	if opts.Dir != "" {
		file := func(name string) *output { return logs.add(name, files[name], files[name].Close) }
		app, queries, security = append(app, file(AppLogFile)), append(queries, file(QueryLogFile)), append(security, file(SecurityLogFile))
	}
	warnings := zap.LevelEnablerFunc(func(l zapcore.Level) bool { return l >= zapcore.WarnLevel && logs.level.Enabled(l) })
	options := []zap.Option{zap.WithClock(clock{opts.Now}), zap.ErrorOutput(zapErrors{logs.stderr})}
	logs.App = zap.New(logs.core(logs.level, app...), options...).Named("watchbill")
	logs.Queries = zap.New(zapcore.NewTee(logs.core(logs.level, queries...), logs.core(warnings, app...)), options...).
		Named("watchbill").Named("queries")
	logs.Security = zap.New(logs.core(zapcore.InfoLevel, security...), options...).Named("watchbill").Named("security")
	return logs, nil
}

// openLogFiles opens the log files and returns them by name. Without a folder it opens none.
func openLogFiles(opts Options) (map[string]*rotatingFile, error) {
	if opts.Dir == "" {
		return nil, nil
	}
	files := map[string]*rotatingFile{}
	for _, name := range []string{AppLogFile, QueryLogFile, SecurityLogFile} {
		file, err := openFileWithin(openWithin, filepath.Join(opts.Dir, name), opts.Now)
		if err != nil {
			err = fmt.Errorf("open log file: %w", err)
			for _, opened := range files {
				err = errors.Join(err, opened.Close())
			}
			return nil, err
		}
		files[name] = file
	}
	return files, nil
}

// openFileWithin opens a log file, or fails if that takes longer than limit because its volume hangs. A goroutine is
// blocked until the volume responds.
func openFileWithin(limit time.Duration, path string, now func() time.Time) (*rotatingFile, error) {
	type result struct {
		file *rotatingFile
		err  error
	}
	opened, late := make(chan result), make(chan struct{})
	go func() {
		file, err := openRotatingFile(path, logFileBytes, logFileBackups, now)
		select {
		case opened <- result{file, err}:
		case <-late:
			if err == nil {
				_ = file.Close() // nothing was written to it
			}
		}
	}()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case r := <-opened:
		return r.file, r.err
	case <-timer.C:
		close(late)
		return nil, fmt.Errorf("open %s: no response within %s", path, text.Duration(limit))
	}
}

// SetLevel changes the minimum level: debug, info, warn or error; empty means info.
func (l *Logs) SetLevel(level string) error {
	parsed, err := zapcore.ParseLevel(level)
	if err != nil || parsed > zapcore.ErrorLevel {
		return fmt.Errorf("log level %q: want debug, info, warn or error", level)
	}
	l.level.SetLevel(parsed)
	return nil
}

// Sync waits until the lines logged before are written, or for at most two seconds.
func (l *Logs) Sync() {
	ctx, cancel := context.WithTimeout(context.Background(), flushWithin)
	defer cancel()
	for _, o := range l.outputs {
		o.flush(ctx)
	}
	l.stderr.flush(ctx)
}

// Close writes the queued lines and closes the log files. It does not close stdout and stderr, which are the caller's.
// An output whose lines cannot be written within two seconds is abandoned and reported on stderr.
func (l *Logs) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), flushWithin)
	defer cancel()
	for _, o := range l.outputs {
		o.close()
	}
	var errs []error
	for _, o := range l.outputs {
		unwritten, err := o.finish(ctx)
		errs = append(errs, err)
		if unwritten > 0 {
			l.say("%d log lines for %s could not be written before the end", unwritten, o.name)
		}
	}
	l.stderr.close()
	last, cancel := context.WithTimeout(context.Background(), stderrWithin)
	defer cancel()
	_, _ = l.stderr.finish(last) // there is nowhere to report it
	return errors.Join(errs...)
}

// Strains returns a sentence for each output that is stalled or has recently dropped lines.
func (l *Logs) Strains() []string {
	var strains []string
	for _, o := range l.allOutputs() {
		if strain := o.strain(); strain != "" {
			strains = append(strains, strain)
		}
	}
	return strains
}

func (l *Logs) allOutputs() []*output {
	return append(l.outputs[:len(l.outputs):len(l.outputs)], l.stderr)
}

// add starts an output.
func (l *Logs) add(name string, out io.Writer, end func() error) *output {
	o := (&output{name: name, out: out, end: end, now: l.now, notice: l.notice, failed: l.writeFailed}).start()
	l.outputs = append(l.outputs, o)
	return o
}

// writeFailed reports on stderr that an output cannot be written, at most once an hour.
func (l *Logs) writeFailed(o *output, err error) {
	now := l.now()
	if !o.reported.IsZero() && now.Sub(o.reported) < reportEvery {
		return
	}
	o.reported = now
	l.say("cannot log to %s: %v (lines lost so far: %d)", o.name, err, o.dropped.Load())
}

func (l *Logs) say(format string, args ...any) {
	l.stderr.add(fmt.Appendf(nil, "watchbill: "+format+"\n", args...), true)
}

// notice returns a line about dropped lines.
func (l *Logs) notice(o *output, dropped int64) []byte {
	entry := zapcore.Entry{
		Level: zapcore.WarnLevel, Time: l.now(), LoggerName: "watchbill.logs", Message: fmt.Sprintf("%d log lines were dropped", dropped),
	}
	buffer, err := newEncoder().EncodeEntry(entry, []zapcore.Field{zap.String("output", o.name), zap.Int64("dropped", dropped)})
	if err != nil {
		return fmt.Appendf(nil, "%d log lines were dropped\n", dropped)
	}
	defer buffer.Free()
	return append([]byte(nil), buffer.Bytes()...)
}

// core returns a core that redacts, encodes and passes lines to outputs. Without outputs it is disabled.
func (l *Logs) core(level zapcore.LevelEnabler, outputs ...*output) zapcore.Core {
	if len(outputs) == 0 {
		return zapcore.NewNopCore()
	}
	return &redactingCore{LevelEnabler: level, encoder: newEncoder(), outputs: outputs, redact: l.redact}
}

func newEncoder() zapcore.Encoder {
	return zapcore.NewJSONEncoder(zapcore.EncoderConfig{
		TimeKey:       "ts",
		LevelKey:      "level",
		NameKey:       "logger",
		MessageKey:    "msg",
		StacktraceKey: "stack",
		EncodeLevel:   zapcore.LowercaseLevelEncoder,
		EncodeTime: func(t time.Time, enc zapcore.PrimitiveArrayEncoder) {
			zapcore.RFC3339NanoTimeEncoder(t.UTC(), enc)
		},
		EncodeDuration: zapcore.StringDurationEncoder,
	})
}

// zapErrors receives zap's errors about lines that cannot be encoded.
type zapErrors struct{ stderr *output }

func (e zapErrors) Write(p []byte) (int, error) {
	e.stderr.add(p, true)
	return len(p), nil
}

func (zapErrors) Sync() error { return nil }

// clock is a zapcore.Clock with the time that was passed in.
type clock struct{ now func() time.Time }

func (c clock) Now() time.Time { return c.now() }

// NewTicker is required by zapcore.Clock for zap's buffers, which are not used here.
func (clock) NewTicker(d time.Duration) *time.Ticker { return time.NewTicker(d) }
