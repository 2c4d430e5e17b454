// Package ingest has the routes that accept executions: in JSON, as OpenTelemetry's traces and logs over HTTP and gRPC,
// and from agents that the gateway runs.
package ingest

import (
	"context"
	"io"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/server/endpoint"
)

// Ledger stores executions.
type Ledger interface {
	// Append stores the valid executions of a batch and returns once they are committed. The Index of a rejection is
	// that in the batch's Executions. It returns fault.ErrUnavailable if nothing of the batch was acknowledged; the
	// whole batch may then be sent again.
	Append(ctx context.Context, batch execution.Batch) (execution.Outcome, error)
}

// Exports handles OpenTelemetry's export requests and encodes responses as the protocol defines.
type Exports interface {
	// Export reads a request's body, stores its contents and returns the response, also for failures.
	Export(ctx context.Context, header http.Header, body io.Reader) (status int, mediaType string, response []byte)
	// Refuse returns the response to a request that the server rejects.
	Refuse(header http.Header, status int, message string) (mediaType string, response []byte)
}

// Gateway runs AI agents.
type Gateway interface {
	// Start selects the agent for a prompt and ensures that the run's outcome can be recorded. It returns a
	// *fault.Error if there is no agent for the type, or no space to record the outcome (fault.ErrUnavailable).
	Start(prompt execution.Prompt) (execution.Run, error)
	// AgentFor returns the name of the agent for a prompt type, or "" if there is none.
	AgentFor(promptType string) string
}

// Options configures an API. All fields are required unless noted otherwise.
type Options struct {
	Ledger     Ledger
	Traces     Exports
	LogRecords Exports // for exports of logs
	Gateway    Gateway
	// UnreadCount, if not nil, is called for each token count with an unknown name. A client chooses the name.
	UnreadCount func(name string)

	Log    *zap.Logger
	Now    func() time.Time
	Random io.Reader // for ids
}

// API serves the routes that accept executions.
type API struct {
	Options

	// EventWithin is how long a client may take to read an event.
	EventWithin time.Duration
	streaming   context.Context
	endStreams  context.CancelFunc
}

// New returns an API.
func New(opts Options) *API {
	a := &API{Options: opts, EventWithin: eventWithin}
	a.streaming, a.endStreams = context.WithCancel(context.Background())
	return a
}

// Routes returns the routes. The API may be the zero value.
func (a *API) Routes() []endpoint.Route {
	return []endpoint.Route{
		endpoint.Post("/api/executions", endpoint.Ingester, a.recordExecutions),
		endpoint.Post("/api/ai/process-stream", endpoint.Ingester, a.processStream),
		endpoint.Post("/v1/traces", endpoint.Exporter, a.exportTraces),
		endpoint.Post("/v1/metrics", endpoint.Exporter, signalNotTaken("metrics", "OTEL_METRICS_EXPORTER")),
		endpoint.Post("/v1/logs", endpoint.Exporter, a.exportLogs),
	}
}
