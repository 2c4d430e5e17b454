package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/watchbill/watchbill/test/rig"
)

const (
	answeredWithin = 3 * time.Second // later responses count as failed
	strainWithin   = 5 * time.Second // health must report a stalled output by then
	endedWithin    = 10 * time.Second

	// manyFailed is how many requests may fail before a server counts as stuck. The remaining ones are not sent and
	// count as failed.
	manyFailed = 20
)

var stdoutStalled = experiment{
	name: "stdout", quick: true,
	what: "nobody reads a server's standard output; then the files of another's log folder hang",
	strike: func(ctx context.Context, t *trial) error {
		failed, err := t.stalledStdout(ctx, t.binary, "stdout")
		if err != nil {
			return err
		}
		t.total("stdout_stalled_requests_failed", failed, true)
		if failed, err = t.stalledFolder(ctx); err != nil {
			return err
		}
		t.total("log_folder_stalled_requests_failed", failed, true)
		if t.quick {
			return nil
		}
		baseline, err := rig.BuildBaseline(ctx, t.dir)
		if err != nil {
			return err
		}
		if failed, err = t.stalledStdout(ctx, baseline, "stdout-before"); err != nil {
			return err
		}
		t.total("stdout_stalled_requests_failed_before", failed, false)
		return nil
	},
}

// total records a figure that only this trial has.
func (t *trial) total(name string, value int, exact bool) {
	t.found = append(t.found, figure{name: name, value: float64(value), unit: "requests", exact: exact})
}

// stalledStdout runs a program whose standard output is a pipe that is not read, and returns how many requests failed.
func (t *trial) stalledStdout(ctx context.Context, binary, name string) (failed int, err error) {
	reader, writer, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	defer reader.Close()
	if err := reserveSpace(reader, writer, 16<<10); err != nil {
		return 0, errors.Join(err, writer.Close())
	}
	server, err := rig.Serve(ctx, rig.ServeOptions{Binary: binary, DatabaseURL: t.service, Dir: t.folder, Name: name, Out: writer})
	err = errors.Join(err, writer.Close())
	if err != nil {
		return 0, err
	}
	return t.useStalled(ctx, server)
}

// reserveSpace fills a pipe except for some bytes, enough for a program's first lines.
func reserveSpace(reader, writer *os.File, room int64) error {
	if err := writer.SetWriteDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		return fmt.Errorf("fill a pipe: %w", err)
	}
	if _, err := writer.Write(make([]byte, 16<<20)); !errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("fill a pipe: it took everything, %w", err)
	}
	if _, err := io.CopyN(io.Discard, reader, room); err != nil {
		return fmt.Errorf("fill a pipe: %w", err)
	}
	return nil
}

// stalledFolder runs the product with log files that are pipes, so that writes to them block.
func (t *trial) stalledFolder(ctx context.Context) (failed int, err error) {
	dir := filepath.Join(t.folder, "hanging-logs")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return 0, err
	}
	for _, name := range []string{"master-backend.log", "database-queries.log", "security-events.log"} {
		path := filepath.Join(dir, name)
		if err := syscall.Mkfifo(path, 0o600); err != nil {
			return 0, fmt.Errorf("make a log file that hangs: %w", err)
		}
		reader, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
		if err != nil {
			return 0, err
		}
		defer reader.Close()
	}
	server, err := rig.Serve(ctx, rig.ServeOptions{
		Binary: t.binary, DatabaseURL: t.service, Dir: t.folder, Name: "hanging-logs", Args: []string{"--log-dir", dir},
	})
	if err != nil {
		return 0, err
	}
	return t.useStalled(ctx, server)
}

// useStalled sends thousands of requests to a server whose log is blocked, and then stops it. Late responses count as
// failed, as do a health that does not report the fault and a shutdown that does not end.
func (t *trial) useStalled(ctx context.Context, server *rig.Server) (failed int, err error) {
	defer func() { err = errors.Join(err, server.Kill()) }()
	client := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 16, MaxIdleConnsPerHost: 16}, Timeout: answeredWithin}
	defer client.CloseIdleConnections()
	s := &stalled{url: server.URL, client: client}
	id, agent, err := s.enroll(ctx)
	if err != nil {
		return 0, err
	}
	paths := []struct{ path, token string }{
		{"/api/agents", ""},
		{"/nowhere", ""},
		{"/api/deployments?limit=1", rig.AdminToken},
		{"/api/agents?limit=1", rig.AdminToken},
		{"/api/deployments/pending/" + id, agent},
		{"/livez", ""},
		{"/readyz", ""},
		{"/api/health", ""},
	}
	each := t.repeat(1000, 400)
	var sending sync.WaitGroup
	for _, p := range paths {
		sending.Go(func() {
			for range each {
				s.get(ctx, p.path, p.token)
			}
		})
	}
	sending.Wait()
	failed = int(s.failed.Load())
	t.logf("%s: %d of %d requests failed", t.name, failed, each*len(paths))

	deadline, cancel := context.WithTimeout(ctx, strainWithin)
	defer cancel()
	if !eventually(deadline, probeEvery, func() bool { return s.reportsStalled(deadline) }) {
		t.logf("%s: health does not say that the log is stalled", t.name)
		failed++
	}
	if err := server.Signal(syscall.SIGTERM); err != nil {
		return failed, err
	}
	ending, cancel := context.WithTimeout(ctx, endedWithin)
	defer cancel()
	if err := server.Wait(ending); err != nil {
		t.logf("%s: after SIGTERM: %v", t.name, err)
		failed++
	}
	return failed, ctx.Err()
}

// stalled counts requests to a server whose log is blocked.
type stalled struct {
	url    string
	client *http.Client
	failed atomic.Int64
}

// get sends a request and counts it if it times out or fails with a server error.
func (s *stalled) get(ctx context.Context, path, token string) {
	if s.failed.Load() >= manyFailed {
		s.failed.Add(1)
		return
	}
	if status, _, err := s.send(ctx, http.MethodGet, path, token, ""); err != nil || status >= http.StatusInternalServerError {
		s.failed.Add(1)
	}
}

func (s *stalled) enroll(ctx context.Context) (id, token string, err error) {
	status, body, err := s.send(ctx, http.MethodPost, "/api/agents", rig.EnrollmentToken, `{"name": "stalled"}`)
	if err != nil || status != http.StatusCreated {
		return "", "", fmt.Errorf("enrol: %d %s: %w", status, body, err)
	}
	var enrolled struct{ ID, Token string }
	err = json.Unmarshal(body, &enrolled)
	return enrolled.ID, enrolled.Token, err
}

func (s *stalled) reportsStalled(ctx context.Context) bool {
	_, body, err := s.send(ctx, http.MethodGet, "/api/health", "", "")
	var health struct {
		Status  string
		Reasons []string
	}
	return err == nil && json.Unmarshal(body, &health) == nil && health.Status == "degraded" &&
		slices.ContainsFunc(health.Reasons, func(reason string) bool { return strings.Contains(reason, "stalled") })
}

func (s *stalled) send(ctx context.Context, method, path, token, body string) (status int, answer []byte, err error) {
	request, err := http.NewRequestWithContext(ctx, method, s.url+path, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := s.client.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	answer, err = io.ReadAll(io.LimitReader(response.Body, 1<<20))
	return response.StatusCode, answer, err
}
