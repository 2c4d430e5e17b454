package server

import (
	"net/http"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"go.uber.org/zap"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/fault"
	"github.com/watchbill/watchbill/internal/observe"
	"github.com/watchbill/watchbill/internal/server/problem"
)

// statusClientGone is recorded, and never sent, if the client went away before the response.
const statusClientGone = 499

// Retry-After is random between retryAfter and twice that, so that clients rejected together do not retry together.
const retryAfter = 2 // seconds

// fail sends an error as the response. Errors that are not the client's fault are logged, unless they add nothing to
// the request's own log line. If the client is gone, the connection is abandoned.
func (s *Server) fail(x *exchange, err error) {
	p := problem.Of(err)
	switch {
	case x.r.Context().Err() != nil && (p == nil || p.Status >= http.StatusInternalServerError):
		x.abandon()
		return
	case p == nil:
		s.log.Error("request failed", x.describe(zap.Error(err))...)
		p = problem.ErrInternal
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
	return "application/problem+json", body
}
