package telemetry

import (
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
	AppLogFile   = "master-backend.log"
	QueryLogFile = "database-queries.log"
)

// LogOptions say where logs go and what may be in them.
type LogOptions struct {
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
// go through RedactText, fields too. A line that cannot be written is lost, and said so on stderr; nothing else stops.
type Logs struct {
	// App writes to stdout and, with a Dir, to master-backend.log.
	App *zap.Logger
	// Queries writes to database-queries.log if there is a Dir. What it warns of, App's outputs get too.
	Queries *zap.Logger

	level  zap.AtomicLevel
	redact redactor
	files  []*rotatingFile
}

// NewLogs opens the log files. Close closes them.
func NewLogs(opts LogOptions) (*Logs, error) {
	logs := &Logs{level: zap.NewAtomicLevel(), redact: newRedactor(opts.Secrets)}
	if err := logs.SetLevel(opts.Level); err != nil {
		return nil, err
	}
	outputs := []zapcore.WriteSyncer{zapcore.Lock(&sink{name: "stdout", out: opts.Stdout, stderr: opts.Stderr, now: opts.Now})}
	queries := zapcore.NewNopCore()
	if opts.Dir != "" {
		app, err := logs.open(AppLogFile, opts)
		if err != nil {
			return nil, err
		}
		query, err := logs.open(QueryLogFile, opts)
		if err != nil {
			return nil, errors.Join(err, logs.Close())
		}
		outputs = append(outputs, app)
		queries = logs.core(query, logs.level)
	}
	app := zapcore.NewMultiWriteSyncer(outputs...)
	warnings := zap.LevelEnablerFunc(func(l zapcore.Level) bool { return l >= zapcore.WarnLevel && logs.level.Enabled(l) })
	options := []zap.Option{
		zap.WithClock(clock{opts.Now}),
		zap.ErrorOutput(zapcore.Lock(zapcore.AddSync(opts.Stderr))),
	}
	logs.App = zap.New(logs.core(app, logs.level), options...).Named("watchbill")
	logs.Queries = zap.New(zapcore.NewTee(queries, logs.core(app, warnings)), options...).Named("watchbill").Named("queries")
	return logs, nil
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

// Close flushes and closes the log files. Stdout is the caller's.
func (l *Logs) Close() error {
	var errs []error
	for _, file := range l.files {
		errs = append(errs, file.Close())
	}
	return errors.Join(errs...)
}

func (l *Logs) open(name string, opts LogOptions) (*sink, error) {
	path := filepath.Join(opts.Dir, name)
	file, err := openRotatingFile(path, logFileBytes, logFileBackups, opts.Now)
	if err != nil {
		return nil, fmt.Errorf("open log file: %w", err)
	}
	l.files = append(l.files, file)
	return &sink{name: path, out: file, stderr: opts.Stderr, now: opts.Now}, nil
}

func (l *Logs) core(out zapcore.WriteSyncer, level zapcore.LevelEnabler) zapcore.Core {
	encoder := zapcore.NewJSONEncoder(zapcore.EncoderConfig{
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
	return &redactingCore{Core: zapcore.NewCore(encoder, out, level), redact: l.redact}
}

// clock is zap's view of the time that was passed in.
type clock struct{ now func() time.Time }

func (c clock) Now() time.Time { return c.now() }

// NewTicker is asked of a clock by zap's buffers, of which we use none.
func (clock) NewTicker(d time.Duration) *time.Ticker { return time.NewTicker(d) }
