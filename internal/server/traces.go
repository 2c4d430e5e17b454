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
)

// exportWithin is how long an export may take: to arrive, and to be stored.
const exportWithin = connections.ReadTimeout + answerWithin

// exportTraces answers POST /v1/traces. How a body is encoded and how large it may be is the protocol's affair, and so is
// every answer.
func (s *Server) exportTraces(x *exchange) error { return s.export(x, s.traces) }

// exportLogs answers POST /v1/logs likewise.
func (s *Server) exportLogs(x *exchange) error { return s.export(x, s.logRecords) }

func (s *Server) export(x *exchange, to Traces) error {
	if err := s.admit(x, ratelimit.Ingest, ratelimit.Subject{Token: x.caller.ingest}, 0); err != nil { // not worth reading
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
	case gone && body.err != nil: // net/http ends the context with the body
		return brokenBody(body.err)
	case gone && status >= http.StatusInternalServerError:
		x.abandon() // that it failed is the exporter's own doing
		return nil
	}
	s.hintRetry(x.Header(), status)
	return content{status: status, mediaType: mediaType, body: answer}.send(x)
}

// exportBody is an export's body on its way in.
type exportBody struct {
	x   *exchange
	now func() time.Time
	err error // why it could not be read to its end
}

// Read counts what comes. Once all of it is there, the time for reading no longer matters, and the time for storing begins.
func (b *exportBody) Read(p []byte) (int, error) {
	n, err := b.x.body.Read(p)
	b.x.bytesIn += int64(n)
	switch {
	case errors.Is(err, io.EOF):
		_ = b.x.extendDeadlines(b.now(), answerWithin) // where that is not to be had, the server's own timeouts hold
	case err != nil:
		b.err = err
	}
	return n, err
}

// signalNotTaken answers OpenTelemetry's other signals, which exporters send unless they are told not to.
func signalNotTaken(signal, variable string) handler {
	return func(*Server, *exchange) error {
		return badRequest("signal_not_taken", "",
			"only traces and logs are taken here, not %s: point OTEL_EXPORTER_OTLP_TRACES_ENDPOINT at /v1/traces instead of OTEL_EXPORTER_OTLP_ENDPOINT, or set %s=none",
			signal, variable)
	}
}
