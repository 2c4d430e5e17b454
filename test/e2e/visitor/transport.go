package main

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/watchbill/watchbill/test/e2e/visit"
)

// recorder records what a fleet sees.
type recorder struct {
	mu  sync.Mutex
	log visit.Log
}

func newRecorder() *recorder {
	return &recorder{log: visit.Log{Statuses: map[int]int{}, Runs: map[string]int{}}}
}

func (d *recorder) note(write func(*visit.Log)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	write(&d.log)
}

func (d *recorder) failed(r *http.Request, reason string) {
	d.note(func(l *visit.Log) {
		l.Failed++
		if len(l.Failures) < visit.MaxFailures {
			l.Failures = append(l.Failures, visit.Failure{At: time.Now(), Request: r.Method + " " + r.URL.Path, Reason: reason})
		}
	})
}

// client returns a client with separate connections, as on another machine.
func (d *recorder) client() *http.Client {
	return &http.Client{Transport: &noting{recorder: d, next: http.DefaultTransport.(*http.Transport).Clone()}, Timeout: 90 * time.Second}
}

// noting records the outcome of every request. If the connection is refused or broken it retries once, as clients of a
// Service must: the replica of the connection may have ended.
type noting struct {
	recorder *recorder
	next     *http.Transport
}

func (n *noting) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := n.next.RoundTrip(r)
	if err != nil && broken(err) && r.Context().Err() == nil {
		n.recorder.note(func(l *visit.Log) { l.Broken++ })
		again := r.Clone(r.Context())
		if r.GetBody != nil {
			if again.Body, err = r.GetBody(); err != nil {
				return nil, err
			}
		}
		resp, err = n.next.RoundTrip(again)
	}
	switch {
	case r.Context().Err() != nil: // stopped
	case err != nil:
		n.recorder.failed(r, err.Error())
	case resp.StatusCode >= http.StatusInternalServerError || resp.StatusCode == http.StatusTooManyRequests:
		n.recorder.failed(r, resp.Status)
	}
	n.recorder.note(func(l *visit.Log) {
		l.Requests++
		if err == nil {
			l.Statuses[resp.StatusCode]++
		}
	})
	return resp, err
}

func broken(err error) bool {
	for _, kind := range []error{syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.EPIPE, io.EOF, io.ErrUnexpectedEOF} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return strings.Contains(err.Error(), "server closed idle connection")
}
