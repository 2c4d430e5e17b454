package ingest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/ratelimit"
	"github.com/watchbill/watchbill/internal/server/connections"
	"github.com/watchbill/watchbill/internal/server/endpoint"
	"github.com/watchbill/watchbill/internal/server/input"
	"github.com/watchbill/watchbill/internal/server/problem"
)

// exportWithin is how long an export may take to arrive and to be stored.
const exportWithin = connections.ReadTimeout + endpoint.ResponseTimeout

// exportTraces serves POST /v1/traces. OpenTelemetry's protocol determines the encoding and size limit of bodies, and
// all responses.
func (a *API) exportTraces(x *endpoint.Exchange) error { return a.export(x, a.Traces) }

// exportLogs serves POST /v1/logs like exportTraces.
func (a *API) exportLogs(x *endpoint.Exchange) error { return a.export(x, a.LogRecords) }

func (a *API) export(x *endpoint.Exchange, to Exports) error {
	if err := x.Admit(ratelimit.Ingest, ratelimit.Subject{Token: x.Caller.Ingest}, 0); err != nil { // skip the body
		return err
	}
	source := execution.Source(x.Caller.Ingest[:len(execution.Source{})])
	ctx, cancel := context.WithTimeout(x.Admitting(execution.WithSource(x.Request.Context(), source)), exportWithin)
	defer cancel()
	body := &exportBody{x: x, now: a.Now}
	if message, ok := x.Request.Body.(*grpcMessage); ok {
		if err := message.begin(body, x.Request.Header); err != nil {
			return err
		}
	}
	status, mediaType, response := to.Export(ctx, x.Request.Header, body)
	switch gone := x.Request.Context().Err() != nil; {
	case x.Body.Busy != nil:
		return x.Body.Busy
	case errors.Is(body.err, errMoreMessages):
		return body.err
	case gone && body.err != nil: // net/http cancels the context when the body breaks off
		return input.BrokenBody(body.err)
	case gone && status >= http.StatusInternalServerError:
		x.Abandon() // it failed because the exporter is gone
		return nil
	}
	x.HintRetry(status)
	return endpoint.Content{Status: status, MediaType: mediaType, Body: response}.Send(x)
}

// exportBody reads the body of an export.
type exportBody struct {
	x   *endpoint.Exchange
	now func() time.Time
	err error // the first error except io.EOF
}

// Read counts the bytes read. At the end of the body it extends the connection's deadlines for storing.
func (b *exportBody) Read(p []byte) (int, error) {
	n, err := b.x.Body.Read(p)
	b.x.BytesIn += int64(n)
	switch {
	case errors.Is(err, io.EOF):
		_ = b.x.ExtendDeadlines(endpoint.ResponseTimeout) // if unsupported, the server's timeouts apply
	case err != nil:
		b.err = err
	}
	return n, err
}

// signalNotTaken rejects OpenTelemetry's other signals, which exporters send unless configured otherwise.
func signalNotTaken(signal, variable string) endpoint.Handler {
	return func(*endpoint.Exchange) error {
		return problem.BadRequest("signal_not_taken", "",
			"only traces and logs are accepted, not %s: point OTEL_EXPORTER_OTLP_TRACES_ENDPOINT at /v1/traces instead of OTEL_EXPORTER_OTLP_ENDPOINT, or set %s=none",
			signal, variable)
	}
}
