package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/fleet"
)

// wire is the transport of all clients: it records requests and responses in the diary.
type wire struct {
	recorder *recorder
	next     *http.Transport
	as       string // begins the kind of its requests
	// once prevents net/http from repeating a request by itself, so that each recorded request was sent once.
	once bool
}

// client returns a client with separate connections, as on another machine.
func (d *recorder) client(once bool) *http.Client {
	next := http.DefaultTransport.(*http.Transport).Clone()
	next.Proxy = nil
	next.MaxIdleConnsPerHost = 16
	return &http.Client{Transport: &wire{recorder: d, next: next, once: once}, Timeout: 90 * time.Second}
}

// CloseIdleConnections is called by http.Client's method.
func (w *wire) CloseIdleConnections() { w.next.CloseIdleConnections() }

const maxResponse = 32 << 20

// RoundTrip implements http.RoundTripper. It reads the response to its end before it returns.
func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := bodyOf(r)
	if err != nil {
		return nil, err
	}
	sent := r.Clone(r.Context())
	sent.Body = io.NopCloser(bytes.NewReader(body))
	if len(body) == 0 {
		sent.Body = http.NoBody
	}
	if sent.GetBody = nil; !w.once {
		sent.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	}
	x := exchange{as: w.as, method: r.Method, path: r.URL.Path, body: body, asked: time.Now()}
	resp, err := w.next.RoundTrip(sent)
	if err == nil {
		x.status = resp.StatusCode
		x.response, err = io.ReadAll(io.LimitReader(resp.Body, maxResponse))
		_ = resp.Body.Close() // all of it is read
		resp.Body = io.NopCloser(bytes.NewReader(x.response))
	}
	x.answered = time.Now()
	x.err = err
	x.given = r.Context().Err() != nil && errors.Is(r.Context().Err(), context.Canceled)
	w.recorder.take(x)
	if err != nil {
		return nil, err
	}
	return resp, nil
}

func bodyOf(r *http.Request) ([]byte, error) {
	if r.Body == nil || r.Body == http.NoBody {
		return nil, nil
	}
	defer r.Body.Close()
	return io.ReadAll(r.Body)
}

// exchange is a request and its outcome.
type exchange struct {
	as              string // prefix of its kind
	method, path    string
	body            []byte
	asked, answered time.Time
	status          int // 0 if there was no response
	response        []byte
	err             error
	given           bool // the client canceled it
}

// kind returns the name of the request's kind, for counting.
func (x *exchange) kind() string {
	switch {
	case strings.HasPrefix(x.path, "/api/deployments/pending/"):
		return "poll"
	case strings.HasSuffix(x.path, "/status"):
		return "report"
	case strings.HasSuffix(x.path, "/logs"):
		return "log"
	case strings.HasSuffix(x.path, "/cancel"):
		return "cancel"
	case x.path == "/api/executions":
		return "ingest"
	case x.path == "/api/ai/process-stream":
		return "run"
	case x.method == http.MethodPost && x.path == "/api/deployments":
		return "create"
	case strings.HasPrefix(x.path, "/api/deployments"):
		return "read"
	}
	return "other"
}

// trouble returns why a request failed that should not have, or "".
func (x *exchange) trouble() string {
	var network net.Error
	switch {
	case x.given:
		return ""
	case x.err != nil && errors.As(x.err, &network) && network.Timeout():
		return "no answer in time"
	case x.err != nil:
		return x.err.Error()
	case x.status >= http.StatusInternalServerError || x.status == http.StatusTooManyRequests:
		return fmt.Sprintf("%d %.200s", x.status, x.response)
	}
	return ""
}

// uncertain reports whether a request may or may not have taken effect.
func (x *exchange) uncertain() bool {
	return x.err != nil || x.status >= http.StatusInternalServerError || x.status == http.StatusTooManyRequests
}

var deploymentPath = regexp.MustCompile(`^/api/deployments/([0-9a-f-]{36})(?:/(status|cancel|logs))?$`)

// take records an exchange.
func (d *recorder) take(x exchange) {
	kind := x.kind()
	d.note(x.as+kind, x.trouble(), x.answered)
	id, action := "", ""
	if m := deploymentPath.FindStringSubmatch(x.path); m != nil {
		id, action = m[1], m[2]
	}
	switch {
	case kind == "run":
		if run, ended := runOf(x.response); ended { // although the connection may have broken then
			d.addSending(run)
			d.stored(run)
		}
	case action == "status" || action == "cancel":
		d.takeMove(x, id, action)
	case x.uncertain():
		if kind == "create" || kind == "ingest" {
			d.look(func(d *recorder) { d.inFlight++ })
		}
	case kind == "create":
		d.takeCreated(x)
	case kind == "poll" && x.status == http.StatusOK:
		d.takeOffers(x)
	case id != "" && action == "" && x.status == http.StatusOK:
		var one openapi.Deployment
		if d.decode(x, &one) {
			d.recordSnapshot(x, one)
		}
	case x.method == http.MethodGet && x.path == "/api/deployments" && x.status == http.StatusOK:
		var all openapi.DeploymentList
		if d.decode(x, &all) {
			for _, one := range all.Deployments {
				d.recordSnapshot(x, one)
			}
		}
	case x.status >= http.StatusBadRequest && kind != "log" && kind != "other":
		d.unexpected("%s %s: %d %.300s", x.method, x.path, x.status, x.response)
	}
}

func (d *recorder) decode(x exchange, to any) bool {
	if err := json.Unmarshal(x.response, to); err != nil {
		d.unexpected("%s %s: %d: %v", x.method, x.path, x.status, err)
		return false
	}
	return true
}

func (d *recorder) takeMove(x exchange, id, action string) {
	e := event{asked: x.asked, answered: x.answered, cancel: action == "cancel"}
	if action == "status" {
		var report openapi.StatusReport
		if err := json.Unmarshal(x.body, &report); err != nil {
			d.unexpected("a report that cannot be read: %v", err)
			return
		}
		e.report = &fleet.Report{
			Attempt: int(report.Attempt), Claim: report.Claim, Status: fleet.Status(report.Status),
			Retryable: report.Retryable == nil || *report.Retryable, Progress: report.Progress, Message: optional(report.Message), Output: optional(report.Output),
		}
	}
	switch {
	case x.uncertain():
		e.answered = time.Time{}
	case x.status >= http.StatusBadRequest:
		var problem openapi.Problem
		if err := json.Unmarshal(x.response, &problem); err != nil || problem.Code == "" {
			d.unexpected("%s %s: %d %.300s", x.method, x.path, x.status, x.response)
			return
		}
		e.refused = string(problem.Code)
	}
	d.did(id, e)
}

// optional returns an optional field of a report; nil if s is empty.
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func (d *recorder) takeCreated(x exchange) {
	if x.status != http.StatusCreated {
		d.unexpected("%s %s: %d %.300s", x.method, x.path, x.status, x.response)
		return
	}
	var made openapi.CreatedDeployments
	if !d.decode(x, &made) {
		return
	}
	for _, one := range made.Deployments {
		d.made(x.answered, one.ID)
	}
}

func (d *recorder) takeOffers(x exchange) {
	var offers openapi.PendingDeployments
	if !d.decode(x, &offers) {
		return
	}
	for _, one := range offers.Deployments {
		d.see(one.ID, x.asked, x.answered, fleet.Pending, int(one.Attempt))
	}
}

func (d *recorder) recordSnapshot(x exchange, one openapi.Deployment) {
	d.see(one.ID, x.asked, x.answered, fleet.Status(one.Status), int(one.Attempt))
}
