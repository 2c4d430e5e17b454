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
)

// The log files' names under LogOptions.Dir; backups have .1 (the newest) to .5 behind theirs.
const (
	AppLogFile      = "master-backend.log"
	QueryLogFile    = "database-queries.log"
	SecurityLogFile = "security-events.log"
)

const (
	openWithin = 10 * time.Second // for a log file to open: its volume may hang

	// reportEvery bounds what is said about an output that goes on failing.
	reportEvery = time.Hour

	stderrWithin = 500 * time.Millisecond // for the last words on stderr
)

// Options say where logs go and what may be in them.
type Options struct {
	Dir    string    // where the log files are, made if missing; none when empty
	Level  string    // debug, info, warn or error; info when empty
	Stdout io.Writer // every line of App
	Stderr io.Writer // that a log cannot be written
	Now    func() time.Time

	// Secrets are tokens and passwords that are known, kept out of the logs wherever they turn up; of a list with
	// commas each part is one. What has fewer than four bytes is ignored: words have it too.
	Secrets []string
}

// Logs are the program's loggers. Their lines are JSON objects with ts (RFC 3339 in UTC), level, logger and msg, and
// go through RedactText, fields too.
//
// Logging does not wait for the outputs: each has a bounded queue of its own. Lines that do not fit, or cannot be
// written, are dropped and counted; see Strains and NewLogCollector. Nothing else stops.
type Logs struct {
	// App writes to stdout and, with a Dir, to master-backend.log.
	App *zap.Logger
	// Queries writes to database-queries.log if there is a Dir. What it warns of, App's outputs get too.
	Queries *zap.Logger
	// Security writes to stdout and, with a Dir, to security-events.log, whatever the level. See SecurityLog.
	Security *zap.Logger

	now     func() time.Time
	level   zap.AtomicLevel
	redact  redactor
	outputs []*output // but for stderr
	stderr  *output
}

// New opens the log files and starts writing. Close ends that.
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

// openLogFiles opens the log files, by their names; none without a folder.
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

// openFileWithin opens a log file unless its volume hangs. The goroutine that hangs with it ends when the volume answers.
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
		return nil, fmt.Errorf("open %s: no answer within %s", path, limit)
	}
}

// SetLevel changes from which level on lines are written: debug, info, warn or error; empty means info.
func (l *Logs) SetLevel(level string) error {
	parsed, err := zapcore.ParseLevel(level)
	if err != nil || parsed > zapcore.ErrorLevel {
		return fmt.Errorf("log level %q: want debug, info, warn or error", level)
	}
	l.level.SetLevel(parsed)
	return nil
}

// Sync waits until the lines logged before are written, for two seconds at most.
func (l *Logs) Sync() {
	ctx, cancel := context.WithTimeout(context.Background(), flushWithin)
	defer cancel()
	for _, o := range l.outputs {
		o.flush(ctx)
	}
	l.stderr.flush(ctx)
}

// Close writes what is queued and closes the log files. Stdout and stderr stay open: they are the caller's. An output
// that does not take its lines within two seconds is given up, which is told on stderr.
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
	_, _ = l.stderr.finish(last) // there is nowhere else to say it
	return errors.Join(errs...)
}

// Strains says which outputs are stalled or have dropped lines lately.
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

// writeFailed says on stderr that an output cannot be written, once an hour at most.
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

// notice makes the line that says that lines were dropped.
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

// core redacts, encodes and hands lines to outputs; without outputs it is off.
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

// zapErrors is where zap says that a line cannot be encoded.
type zapErrors struct{ stderr *output }

func (e zapErrors) Write(p []byte) (int, error) {
	e.stderr.add(p, true)
	return len(p), nil
}

func (zapErrors) Sync() error { return nil }

// clock is zap's view of the time that was passed in.
type clock struct{ now func() time.Time }

func (c clock) Now() time.Time { return c.now() }

// NewTicker is asked of a clock by zap's buffers, of which we use none.
func (clock) NewTicker(d time.Duration) *time.Ticker { return time.NewTicker(d) }
