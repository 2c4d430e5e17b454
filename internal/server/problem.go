package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"go.uber.org/zap"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/fault"
	"github.com/watchbill/watchbill/internal/fleet/mailbox"
	"github.com/watchbill/watchbill/internal/observe"
	"github.com/watchbill/watchbill/internal/report"
	"github.com/watchbill/watchbill/internal/text"
)

// statusClientGone is recorded, and never sent, if the client went away before the response.
const statusClientGone = 499

// Retry-After is random between retryAfter and twice that, so that clients rejected together do not retry together.
const retryAfter = 2 // seconds

// newProblem returns an error that is its own response. field may be empty.
func newProblem(status int, code, field, format string, args ...any) *openapi.Problem {
	return &openapi.Problem{
		Type: "about:blank", Title: http.StatusText(status), Status: int32(status),
		Code: code, Field: field, Detail: fmt.Sprintf(format, args...),
	}
}

func badRequest(code, field, format string, args ...any) *openapi.Problem {
	return newProblem(http.StatusBadRequest, code, field, format, args...)
}

// problemOf converts an error to its HTTP response. Nil means that the error is a defect of the server, whose text must
// not be shown to clients.
func problemOf(err error) *openapi.Problem {
	var (
		known   *openapi.Problem
		problem *fault.Error
		faults  report.FieldErrors
	)
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &problem) && statuses[problem.Kind] != 0:
		return newProblem(statuses[problem.Kind], problem.Code, problem.Field, "%s", problem.Detail)
	case errors.As(err, &faults):
		return problemOfFields(faults)
	case errors.Is(err, mailbox.ErrUnknownToken):
		return errUnknownToken
	case errors.Is(err, report.ErrNotFound):
		return errNoReport
	case errors.Is(err, context.DeadlineExceeded):
		return problemOf(fault.ErrNoAnswer)
	case errors.Is(err, mailbox.ErrDraining):
		return problemOf(fault.ErrShuttingDown)
	default:
		return nil
	}
}

// statuses maps the domain's kinds of fault to HTTP statuses.
var statuses = map[fault.Kind]int{
	fault.Invalid:     http.StatusBadRequest,
	fault.Forbidden:   http.StatusForbidden,
	fault.NotFound:    http.StatusNotFound,
	fault.Conflict:    http.StatusConflict,
	fault.TooLarge:    http.StatusRequestEntityTooLarge,
	fault.Unavailable: http.StatusServiceUnavailable,
	fault.Limited:     http.StatusTooManyRequests,
}

// problemOfFields returns a problem that lists all faults. Its field and detail are those of the first.
func problemOfFields(faults report.FieldErrors) *openapi.Problem {
	if len(faults) == 0 {
		return nil
	}
	p := badRequest("invalid_field", clip(faults[0].Field), "%s", clip(faults[0].Problem))
	if len(faults) > 1 {
		for _, problem := range faults {
			p.Errors = append(p.Errors, openapi.FieldError{Field: clip(problem.Field), Detail: clip(problem.Problem)})
		}
	}
	return p
}

// fail sends an error as the response. Errors that are not the client's fault are logged, unless they add nothing to
// the request's own log line. If the client is gone, the connection is abandoned.
func (s *Server) fail(x *exchange, err error) {
	p := problemOf(err)
	switch {
	case x.r.Context().Err() != nil && (p == nil || p.Status >= http.StatusInternalServerError):
		x.abandon()
		return
	case p == nil:
		s.log.Error("request failed", x.describe(zap.Error(err))...)
		p = errInternal
	case p.Status == http.StatusServiceUnavailable && !isBare(err):
		s.logUnserved(x, err)
	}
	s.writeProblem(x, p)
}

// logUnserved logs why a request was not served. Clients could cause any number of such lines, so they are sampled.
func (s *Server) logUnserved(x *exchange, err error) {
	fields := x.describe(zap.Error(err))
	stands := s.requests.SampleCause(x.audience == observe.Known)
	if stands == 0 {
		return
	}
	if stands > 1 {
		fields = append(fields, zap.Int64("sampled", stands))
	}
	s.log.Warn("request not served", fields...)
}

// isBare reports whether an error contains no more than the response shows. An error that wraps another adds the cause.
func isBare(err error) bool {
	switch err.(type) { //nolint:errorlint // a wrapped error is not bare
	case *fault.Error, *openapi.Problem:
		return true
	}
	return false
}

var errInternal = newProblem(http.StatusInternalServerError, "internal", "", "internal error; see the server's log")

func (s *Server) writeProblem(x *exchange, p *openapi.Problem) {
	header := x.Header()
	delete(header, "Etag") // of a response that was not sent
	if p.Status == http.StatusUnauthorized {
		header.Set("WWW-Authenticate", `Bearer realm="watchbill"`)
	}
	s.hintRetry(header, int(p.Status))
	mediaType, body := s.encodeProblem(x, p)
	header.Set("Content-Type", mediaType)
	header.Set("Content-Length", strconv.Itoa(len(body)))
	x.WriteHeader(int(p.Status))
	_, _ = x.Write(body) // an error means that the client is gone
}

// hintRetry sets Retry-After if the status allows a retry and the header is not set yet.
func (s *Server) hintRetry(header http.Header, status int) {
	if status != http.StatusServiceUnavailable && status != http.StatusTooManyRequests || header.Get("Retry-After") != "" {
		return
	}
	header.Set("Retry-After", strconv.Itoa(retryAfter+int(s.jitter()*(retryAfter+1))))
}

func (s *Server) encodeProblem(x *exchange, p *openapi.Problem) (mediaType string, body []byte) {
	if x.exporter {
		return s.traces.Refuse(x.r.Header, int(p.Status), p.Detail)
	}
	body, err := json.Marshal(p, jsontext.AllowInvalidUTF8(true)) // invalid UTF-8, the only possible failure, becomes �
	if err != nil {
		body = nil
	}
	return "application/problem+json", append(body, '\n')
}

// clip shortens text that a client sent, for use in a message.
func clip(s string) string {
	return text.Clip(strings.ToValidUTF8(s, "\ufffd"), 200)
}
