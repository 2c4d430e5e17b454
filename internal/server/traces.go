package server

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/ratelimit"
	"github.com/watchbill/watchbill/internal/server/connections"
	"github.com/watchbill/watchbill/internal/server/input"
	"github.com/watchbill/watchbill/internal/server/problem"
)

// exportWithin is how long an export may take to arrive and to be stored.
const exportWithin = connections.ReadTimeout + answerWithin

// exportTraces serves POST /v1/traces. OpenTelemetry's protocol determines the encoding and size limit of bodies, and
// all responses.
func (s *Server) exportTraces(x *exchange) error { return s.export(x, s.traces) }

// exportLogs serves POST /v1/logs like exportTraces.
func (s *Server) exportLogs(x *exchange) error { return s.export(x, s.logRecords) }

func (s *Server) export(x *exchange, to Traces) error {
	if err := s.admit(x, ratelimit.Ingest, ratelimit.Subject{Token: x.caller.ingest}, 0); err != nil { // skip the body
		return err
	}
	source := execution.Source(x.caller.ingest[:len(execution.Source{})])
	ctx, cancel := context.WithTimeout(s.admitting(execution.WithSource(x.r.Context(), source), x), exportWithin)
	defer cancel()
	body := &exportBody{x: x, now: s.now}
	if message, ok := x.r.Body.(*grpcMessage); ok {
		if err := message.begin(body, x.r.Header); err != nil {
			return err
		}
	}
	status, mediaType, answer := to.Export(ctx, x.r.Header, body)
	switch gone := x.r.Context().Err() != nil; {
	case x.body.busy != nil:
		return x.body.busy
	case errors.Is(body.err, errMoreMessages):
		return body.err
	case gone && body.err != nil: // net/http cancels the context when the body breaks off
		return input.BrokenBody(body.err)
	case gone && status >= http.StatusInternalServerError:
		x.abandon() // it failed because the exporter is gone
		return nil
	}
	s.hintRetry(x.Header(), status)
	return content{status: status, mediaType: mediaType, body: answer}.send(x)
}

// exportBody reads the body of an export.
type exportBody struct {
	x   *exchange
	now func() time.Time
	err error // the first error except io.EOF
}

// Read counts the bytes read. At the end of the body it extends the connection's deadlines for storing.
func (b *exportBody) Read(p []byte) (int, error) {
	n, err := b.x.body.Read(p)
	b.x.bytesIn += int64(n)
	switch {
	case errors.Is(err, io.EOF):
		_ = b.x.extendDeadlines(b.now(), answerWithin) // if unsupported, the server's timeouts apply
	case err != nil:
		b.err = err
	}
	return n, err
}

// signalNotTaken rejects OpenTelemetry's other signals, which exporters send unless configured otherwise.
func signalNotTaken(signal, variable string) handler {
	return func(*Server, *exchange) error {
		return problem.BadRequest("signal_not_taken", "",
			"only traces and logs are taken here, not %s: point OTEL_EXPORTER_OTLP_TRACES_ENDPOINT at /v1/traces instead of OTEL_EXPORTER_OTLP_ENDPOINT, or set %s=none",
			signal, variable)
	}
}
