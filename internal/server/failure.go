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
	"github.com/watchbill/watchbill/internal/server/endpoint"
	"github.com/watchbill/watchbill/internal/server/problem"
)

// fail sends an error as the response. Errors that are not the client's fault are logged, unless they add nothing to
// the request's own log line. If the client is gone, the connection is abandoned.
func (s *Server) fail(x *endpoint.Exchange, err error) {
	p := problem.Of(err)
	switch {
	case x.Request.Context().Err() != nil && (p == nil || p.Status >= http.StatusInternalServerError):
		x.Abandon()
		return
	case p == nil:
		s.log.Error("request failed", x.Describe(zap.Error(err))...)
		p = problem.ErrInternal
	case p.Status == http.StatusServiceUnavailable && !isBare(err):
		s.logUnserved(x, err)
	}
	s.writeProblem(x, p)
}

// logUnserved logs why a request was not served. Clients could cause any number of such lines, so they are sampled.
func (s *Server) logUnserved(x *endpoint.Exchange, err error) {
	fields := x.Describe(zap.Error(err))
	stands := s.requests.SampleCause(x.Audience == observe.Known)
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

func (s *Server) writeProblem(x *endpoint.Exchange, p *openapi.Problem) {
	header := x.Header()
	delete(header, "Etag") // of a response that was not sent
	if p.Status == http.StatusUnauthorized {
		header.Set("WWW-Authenticate", `Bearer realm="watchbill"`)
	}
	x.HintRetry(int(p.Status))
	mediaType, body := s.encodeProblem(x, p)
	header.Set("Content-Type", mediaType)
	header.Set("Content-Length", strconv.Itoa(len(body)))
	x.WriteHeader(int(p.Status))
	_, _ = x.Write(body) // an error means that the client is gone
}

func (s *Server) encodeProblem(x *endpoint.Exchange, p *openapi.Problem) (mediaType string, body []byte) {
	if x.Exporter {
		return s.refuseExport(x.Request.Header, int(p.Status), p.Detail)
	}
	body, err := json.Marshal(p, jsontext.AllowInvalidUTF8(true)) // invalid UTF-8, the only possible failure, becomes �
	if err != nil {
		body = nil
	}
	return "application/problem+json", append(body, '\n')
}
