package logging

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// jsonLines parses log lines.
func jsonLines(tb testing.TB, text string) []map[string]any {
	tb.Helper()
	var lines []map[string]any
	for line := range strings.Lines(text) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			tb.Fatalf("line %q: %v", line, err)
		}
		lines = append(lines, fields)
	}
	return lines
}

func readFile(tb testing.TB, elements ...string) string {
	tb.Helper()
	b, err := os.ReadFile(filepath.Join(elements...))
	if err != nil {
		tb.Fatal(err)
	}
	return string(b)
}

func TestLogOutputs(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "when", "missing")
	var stdout lockedBuffer
	at := time.Date(2026, 3, 1, 13, 0, 0, 123456789, time.FixedZone("CET", 3600))
	logs := newTestLogs(t, Options{Dir: dir, Stdout: &stdout, Now: func() time.Time { return at }})
	logs.App.Info("app", zap.Duration("took", time.Second))
	logs.App.Debug("too low")
	logs.Queries.Info("query")
	logs.Queries.Warn("slow query")
	if err := logs.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}

	want := `{"level":"info","ts":"2026-03-01T12:00:00.123456789Z","logger":"watchbill","msg":"app","took":"1s"}
{"level":"warn","ts":"2026-03-01T12:00:00.123456789Z","logger":"watchbill.queries","msg":"slow query"}
`
	if got := stdout.String(); got != want {
		t.Errorf("stdout:\n%s\nwant:\n%s", got, want)
	}
	if got := readFile(t, dir, "master-backend.log"); got != want {
		t.Errorf("master-backend.log:\n%s\nwant:\n%s", got, want)
	}
	want = `{"level":"info","ts":"2026-03-01T12:00:00.123456789Z","logger":"watchbill.queries","msg":"query"}
{"level":"warn","ts":"2026-03-01T12:00:00.123456789Z","logger":"watchbill.queries","msg":"slow query"}
`
	if got := readFile(t, dir, "database-queries.log"); got != want {
		t.Errorf("database-queries.log:\n%s\nwant:\n%s", got, want)
	}
}

func TestLogLevel(t *testing.T) {
	for _, level := range []string{"loud", "panic", "fatal", "dpanic"} {
		if _, err := New(Options{Level: level}); err == nil {
			t.Errorf("NewLogs with level %q: no error", level)
		}
	}
	var stdout lockedBuffer
	logs := newTestLogs(t, Options{Stdout: &stdout, Level: "error"})
	logs.App.Warn("one")
	logs.Queries.Warn("two")
	if err := logs.SetLevel("debug"); err != nil {
		t.Fatal(err)
	}
	logs.App.Debug("three")
	logs.Queries.Info("four")
	logs.Queries.Warn("five")
	var got []string
	for _, line := range jsonLines(t, stdout.String()) {
		got = append(got, line["msg"].(string))
	}
	if want := "[three five]"; fmt.Sprint(got) != want {
		t.Errorf("got lines %v, want %v", got, want)
	}
}

func TestLogsNeedTheirDirectory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Options{Dir: file, Now: time.Now}); err == nil {
		t.Error("NewLogs with a file for a directory: no error")
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, QueryLogFile), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Options{Dir: dir, Now: time.Now}); err == nil {
		t.Error("NewLogs with a directory for a file: no error")
	}
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func TestLogsOutliveStdout(t *testing.T) {
	var stderr bytes.Buffer
	dir := t.TempDir()
	logs := newTestLogs(t, Options{Dir: dir, Stdout: failingWriter{}, Stderr: &stderr})
	for range 3 {
		logs.App.Info("still here")
	}
	logs.Sync()
	if got := len(jsonLines(t, readFile(t, dir, AppLogFile))); got != 3 {
		t.Errorf("file has %d lines, want 3", got)
	}
	if got := strings.Count(stderr.String(), "\n"); got != 1 || !strings.Contains(stderr.String(), "stdout") {
		t.Errorf("stderr: %q, want one line about stdout", stderr.String())
	}
}

// secretSpec is a value that a panic or a careless log call could contain.
type secretSpec struct {
	Name       string `json:"name"`
	AdminToken string `json:"admin_token"`
	Headers    map[string][]string
	Nested     *secretSpec `json:"nested,omitempty"`
}

func (s secretSpec) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	enc.AddString("name", s.Name)
	enc.AddString("admin_token", s.AdminToken)
	return enc.AddReflected("headers", s.Headers)
}

type nilError struct{ text *string }

func (e *nilError) Error() string { return *e.text }

func TestSecretsAreNotLogged(t *testing.T) {
	const (
		agent = "wba_5eCr3t-5eCr3t"
		plain = "5eCr3t/with+signs"
		dsn   = "postgres://watchbill:5eCr3t@db:5432/watchbill"
	)
	spec := secretSpec{
		Name: "kept", AdminToken: "5eCr3t", Headers: map[string][]string{"Authorization": {"Bearer 5eCr3t"}, "Accept": {"kept"}},
		Nested: &secretSpec{Name: agent, AdminToken: "5eCr3t"},
	}
	panicked := func(value any) (fields []zap.Field) {
		defer func() {
			fields = []zap.Field{zap.Any("panic", recover()), zap.ByteString("trace", debug.Stack()), zap.Stack("here")}
		}()
		panic(value)
	}
	tests := []struct {
		name    string
		message string
		fields  []zap.Field
		want    string // what must be kept
	}{
		{name: "message", message: "kept " + dsn, want: "kept postgres://watchbill:[redacted]@db:5432/watchbill"},
		{name: "known secret anywhere", message: "kept " + plain + " kept", want: "kept [redacted] kept"},
		{name: "known secret in a query", message: "GET /kept?x=5eCr3t%2Fwith%2Bsigns&y=1", want: "/kept?x=[redacted]&y=1"},
		{name: "one of a list of secrets", message: "kept r0tated", want: "kept [redacted]"},
		{name: "string field", fields: []zap.Field{zap.String("path", "/x?admin_token=5eCr3t&kept=1")}, want: "kept=1"},
		{name: "field with a secret name", fields: []zap.Field{zap.String("password", "5eCr3t"), zap.Int("kept", 1)}, want: `"kept":1`},
		{name: "byte string", fields: []zap.Field{zap.ByteString("b", []byte("kept Bearer 5eCr3t"))}, want: "kept"},
		{name: "binary", fields: []zap.Field{zap.Binary("b", []byte("5eCr3t"))}, want: "6 bytes"},
		{name: "error", fields: []zap.Field{zap.Error(fmt.Errorf("kept: %w", errors.New("dial "+dsn)))}, want: "kept: dial"},
		{name: "error that panics", fields: []zap.Field{zap.Error((*nilError)(nil))}, want: "<nil>"},
		{name: "errors", fields: []zap.Field{zap.Errors("e", []error{errors.New("kept"), errors.New(agent)})}, want: "kept"},
		{name: "strings", fields: []zap.Field{zap.Strings("s", []string{"kept", agent})}, want: "kept"},
		{name: "reflected struct", fields: []zap.Field{zap.Any("spec", spec)}, want: `"Accept":["kept"]`},
		{name: "pointer", fields: []zap.Field{zap.Any("spec", &spec.Nested)}, want: `"Headers":null`},
		{name: "marshalled object", fields: []zap.Field{zap.Object("spec", spec)}, want: `"name":"kept"`},
		{name: "inlined object", fields: []zap.Field{zap.Inline(spec)}, want: `"name":"kept"`},
		{name: "stringer", fields: []zap.Field{zap.Stringer("d", bytes.NewBufferString("kept "+agent))}, want: "kept"},
		{name: "map", fields: []zap.Field{zap.Any("m", map[string]any{"api-key": 5, "secret": map[string]int{"5eCr3t": 1}, "n": []byte("5eCr3t")})}, want: "api-key"},
		{name: "no JSON", fields: []zap.Field{zap.Any("f", func() { panic("5eCr3t") }), zap.Bool("kept", true)}, want: `"kept":true`},
		{name: "panic with text", fields: panicked("kept admin_token=5eCr3t"), want: "kept admin_token=[redacted]"},
		{name: "panic with error", fields: panicked(errors.New("kept Authorization: Bearer 5eCr3t")), want: "kept Authorization: [redacted]"},
		{name: "panic with a struct", fields: panicked(spec), want: "TestSecretsAreNotLogged"},
		{name: "panic with a printed struct", fields: panicked(fmt.Sprintf("%+v", spec)), want: "Name:kept"},
		{name: "namespace", fields: []zap.Field{zap.Namespace("n"), zap.String("token", "5eCr3t"), zap.Int("kept", 2)}, want: `"kept":2`},
		{name: "all kinds of numbers", fields: []zap.Field{zap.Float64("tokens", 1.5), zap.Time("t", epoch), zap.Complex128("c", 1i), zap.Skip()}, want: "1.5"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			var stdout lockedBuffer
			logs := newTestLogs(t, Options{Dir: dir, Stdout: &stdout, Secrets: []string{plain + ", r0tated", "abc"}})
			logs.App.Warn(tt.message, tt.fields...)
			logs.App.With(tt.fields...).Warn(tt.message)
			logs.App.WithLazy(tt.fields...).Warn(tt.message)
			logs.App.Sugar().Warnw(tt.message, "x", tt.message)
			logs.Queries.Warn(tt.message, tt.fields...)
			logs.Sync()
			all := stdout.String() + readFile(t, dir, AppLogFile) + readFile(t, dir, QueryLogFile)
			if strings.Contains(all, "5eCr3t") || strings.Contains(all, "r0tated") || strings.Contains(all, "NWVDcjN0") {
				t.Errorf("the secret is in the log:\n%s", all)
			}
			if got := len(jsonLines(t, all)); got != 11 {
				t.Errorf("got %d lines, want 11", got)
			}
			first, _, _ := strings.Cut(stdout.String(), "\n")
			if !strings.Contains(first, tt.want) {
				t.Errorf("got %s, want %s in it", first, tt.want)
			}
		})
	}
}

func TestLogTextIsBounded(t *testing.T) {
	var stdout lockedBuffer
	logs := newTestLogs(t, Options{Stdout: &stdout})
	long := strings.Repeat("é", maxLogText)
	logs.App.Info(long, zap.String("field", long))
	if got := len(stdout.String()); got > 2*maxLogText+200 {
		t.Errorf("line has %d bytes", got)
	}
	line := jsonLines(t, stdout.String())[0]
	if msg := line["msg"].(string); !strings.HasSuffix(msg, "éé…") || strings.ContainsRune(msg, '\uFFFD') {
		t.Errorf("message ends in %q, want whole letters and an ellipsis", msg[len(msg)-10:])
	}
}

func TestCallersFieldsStayAsTheyAre(t *testing.T) {
	logs := newTestLogs(t, Options{Stdout: &lockedBuffer{}})
	fields := []zap.Field{zap.Int("n", 1), zap.String("token", "x"), zap.String("s", "y")}
	logs.App.Info("m", fields...)
	if fields[1].String != "x" {
		t.Errorf("the caller's field became %q", fields[1].String)
	}
}
