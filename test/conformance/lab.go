package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/test/conformance/mock"
	"github.com/watchbill/watchbill/test/rig"
)

const (
	programWithin = 4 * time.Minute
	settleWithin  = 15 * time.Second // late parents change names and counts, and runs wait for their calls
	joinWithin    = 15 * time.Second // content of log records is joined seconds after the last record
)

// lab is the environment of the programs: the mock of the providers, and a proxy in front of the server that keeps each
// export.
type lab struct {
	mock     *mock.Server
	http     *http.Server
	url      string
	server   string // of watchbill
	database *pgx.Conn
	done     chan error

	mu      sync.Mutex
	current string
	order   []string
	seen    map[string]*observed
}

// observed is what was received while a scenario ran.
type observed struct {
	truth   mock.Expected
	exports []export
	logs    []logsExport
	outcome string // the program's result: ok, or an error's text
}

func newLab(ctx context.Context, server, database string) (*lab, error) {
	conn, err := pgx.Connect(ctx, database)
	if err != nil {
		return nil, err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(err, conn.Close(ctx))
	}
	l := &lab{mock: mock.New(), url: "http://" + listener.Addr().String(), server: server, database: conn, done: make(chan error, 1)}
	mux := http.NewServeMux()
	mux.Handle("/", l.mock)
	mux.HandleFunc("POST /scenario/{name}", func(_ http.ResponseWriter, r *http.Request) { l.begin(r.PathValue("name")) })
	mux.HandleFunc("POST /outcome/{name}", l.ended)
	mux.HandleFunc("POST /otlp/v1/traces", l.export)
	mux.HandleFunc("POST /otlp/v1/logs", l.exportLogs)
	mux.HandleFunc("POST /otlp/v1/{other}", func(http.ResponseWriter, *http.Request) {}) // metrics are not compared
	l.http = &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	go func() { l.done <- l.http.Serve(listener) }()
	return l, nil
}

func (l *lab) Close() error {
	err := l.http.Close()
	if served := <-l.done; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return errors.Join(err, l.database.Close(context.Background()))
}

func (l *lab) begin(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.current = name
	l.order = append(l.order, name)
	l.seen[name] = &observed{}
	l.mock.Begin(name)
}

// ended records the outcome of a scenario after its spans were flushed.
func (l *lab) ended(_ http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if o := l.seen[r.PathValue("name")]; o != nil {
		o.truth, o.outcome = l.mock.Expected(), r.URL.Query().Get("outcome")
	}
}

// try installs a case, runs its program and compares.
func (l *lab) try(ctx context.Context, c *libraryCase, o options) (*result, error) {
	env, err := prepare(ctx, c, o.lock)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	l.seen, l.order, l.current = map[string]*observed{}, nil, ""
	l.mu.Unlock()
	output, err := l.runProgram(ctx, c, env)
	if err != nil {
		return nil, fmt.Errorf("run %s: %w\n%s", c.Program, err, lastLines(output, 25))
	}
	r := &result{libraryCase: c}
	var faults []error
	for _, s := range c.scenarios {
		seen := l.seen[s.name]
		if seen == nil || seen.outcome == "" {
			faults = append(faults, fmt.Errorf("%s: the program did not finish it\n%s", s.name, lastLines(output, 25)))
			continue
		}
		found, err := l.compare(ctx, s, seen, c.Logs)
		if err != nil {
			return r, err
		}
		r.scenarios = append(r.scenarios, found)
		for _, fault := range found.faults {
			faults = append(faults, fmt.Errorf("%s: %s", s.name, fault))
		}
	}
	if o.record != "" {
		faults = append(faults, record(o.record, r, l.seen, env))
	}
	return r, errors.Join(faults...)
}

func (l *lab) runProgram(ctx context.Context, c *libraryCase, env environment) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, programWithin)
	defer cancel()
	args := env.command
	for _, s := range c.scenarios {
		args = append(args, s.name)
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // the program's children end with it
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	cmd.Dir = env.folder
	authorization := url.PathEscape("Bearer " + rig.IngestToken)
	cmd.Env = append(os.Environ(),
		"MOCK_URL="+l.url, "CASE="+c.Name, "USER_ID="+theUser, "SESSION_ID="+theSession,
		"OTEL_EXPORTER_OTLP_ENDPOINT="+l.url+"/otlp",
		"OTEL_EXPORTER_OTLP_HEADERS=Authorization="+authorization,
		"OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
		"OTEL_METRICS_EXPORTER=none", "OTEL_LOGS_EXPORTER=none", "OTEL_SERVICE_NAME=conformance",
		"OPENAI_API_KEY=sk-mock", "OPENAI_BASE_URL="+l.url+"/openai/v1", "OPENAI_API_BASE="+l.url+"/openai/v1",
		"ANTHROPIC_API_KEY=sk-mock", "ANTHROPIC_BASE_URL="+l.url+"/anthropic",
		"GOOGLE_API_KEY=mock", "GEMINI_API_KEY=mock", "GOOGLE_GEMINI_BASE_URL="+l.url+"/gemini",
		"NO_PROXY=*", "no_proxy=*", "PYTHONDONTWRITEBYTECODE=1", "NODE_NO_WARNINGS=1")
	if c.Logs {
		cmd.Env = append(cmd.Env, "EXPORT_LOGS=true")
	}
	for name, value := range c.Env {
		cmd.Env = append(cmd.Env, name+"="+strings.ReplaceAll(value, "$MOCK_URL", l.url))
	}
	output, err := cmd.CombinedOutput()
	if log := os.Getenv("CONFORMANCE_LOGS"); log != "" {
		err = errors.Join(err, os.WriteFile(filepath.Join(log, c.Name+".log"), output, 0o644))
	}
	return string(output), err
}

func lastLines(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
