package gateway

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/fault"
)

const (
	defaultHeartbeat = 15 * time.Second
	defaultMaxRuns   = 1000
	defaultMaxOutput = 4 << 20
	refusalReport    = 10 * time.Second // minimum time between log lines about rejected runs
)

// Options are a Gateway's settings. The zero value of a number means its default.
type Options struct {
	Agents    func() *Agents // returns the current agents
	Recorder  Recorder
	Transport http.RoundTripper // to the upstreams; optional
	Now       func() time.Time
	NewID     func() string // returns a new execution id
	// NewTrace returns new trace and span ids, for agents that trace themselves. If nil they are sent none.
	NewTrace func() (traceID, spanID string)
	Log      *zap.Logger
	// UsageUnknown is called for each run whose upstream reported more tokens than the maximum. May be nil.
	UsageUnknown func()
	// UnreadCount is called for each token count with an unknown name. May be nil.
	UnreadCount func(name string)

	Heartbeat time.Duration // silence before a heartbeat is sent. Default 15 s
	MaxRuns   int           // concurrent runs. Default 1000
	MaxOutput int           // bytes of an answer. Default 4 MiB
}

// Gateway runs AI agents. See the package comment.
type Gateway struct {
	opts    Options
	client  *http.Client
	running atomic.Int64
	// reported is when rejected runs were last logged.
	reported atomic.Int64

	stopOnce sync.Once
	stopping chan struct{} // closed when runs of clients that left are no longer read on
}

// New returns a Gateway.
func New(opts Options) *Gateway {
	if opts.Heartbeat == 0 {
		opts.Heartbeat = defaultHeartbeat
	}
	if opts.MaxRuns == 0 {
		opts.MaxRuns = defaultMaxRuns
	}
	if opts.MaxOutput == 0 {
		opts.MaxOutput = defaultMaxOutput
	}
	if opts.Transport == nil {
		opts.Transport = newTransport()
	}
	return &Gateway{opts: opts, stopping: make(chan struct{}), client: &http.Client{Transport: opts.Transport, CheckRedirect: checkRedirect}}
}

// Running returns the number of runs under way.
func (g *Gateway) Running() int { return int(g.running.Load()) }

// EndDrains ends the runs of clients that left, which are read on only for their usage.
func (g *Gateway) EndDrains() { g.stopOnce.Do(func() { close(g.stopping) }) }

// Close closes idle connections.
func (g *Gateway) Close() { g.client.CloseIdleConnections() }

// AgentFor returns the name of the agent for a prompt type, or "".
func (g *Gateway) AgentFor(promptType string) string {
	if a := g.opts.Agents().find(promptType); a != nil {
		return a.name
	}
	return ""
}

// Start selects the agent for a prompt and reserves space to record the run's outcome. Its errors are *fault.Error:
// no_agent if there is none for the type, the first fault of the prompt or its options, fault.ErrUnavailable if the run
// cannot be recorded, and busy if MaxRuns runs are under way. The caller must call the run's Stream; until it returns the
// run's place is taken.
func (g *Gateway) Start(prompt execution.Prompt) (execution.Run, error) {
	a := g.opts.Agents().find(prompt.Type)
	if a == nil {
		return nil, &fault.Error{
			Kind: fault.NotFound, Code: "no_agent", Field: "type",
			Detail: fmt.Sprintf("no agent is configured for the type %q", asName(prompt.Type, execution.MaxName)),
		}
	}
	options, err := optionsOf(prompt)
	if err != nil {
		return nil, err
	}
	if err := a.kind.check(options); err != nil {
		return nil, err
	}
	r := &run{g: g, agent: a, prompt: prompt, options: options, execution: execution.Execution{
		ID: g.opts.NewID(), CreatedAt: g.opts.Now().UTC().Truncate(time.Microsecond),
		UserID: prompt.UserID, SessionID: prompt.SessionID, RequestID: prompt.RequestID,
		AgentName: a.name, Kind: execution.Agent, Status: execution.Success, Request: true,
		Model: a.model, Provider: a.provider,
	}}
	if a.traced && g.opts.NewTrace != nil {
		r.execution.TraceID, r.execution.SpanID = g.opts.NewTrace()
	}
	if _, problem := g.opts.Recorder.Prepare(r.execution); problem != nil {
		return nil, &fault.Error{Kind: fault.Invalid, Code: problem.Code, Field: problem.Field, Detail: problem.Detail}
	}
	if g.running.Add(1) > int64(g.opts.MaxRuns) {
		g.running.Add(-1)
		return nil, &fault.Error{Kind: fault.Unavailable, Code: "busy", Detail: "too many agents are running; try again later"}
	}
	if r.reservation, err = g.opts.Recorder.Reserve(); err != nil {
		g.running.Add(-1)
		g.reportRefusal(err)
		return nil, &fault.Error{
			Kind: fault.Unavailable, Code: fault.ErrUnavailable.Code, Detail: "the run could not be recorded now; try again later",
		}
	}
	return r, nil
}

// reportRefusal logs that runs are rejected, at most once per refusalReport.
func (g *Gateway) reportRefusal(err error) {
	now, last := g.opts.Now().UnixNano(), g.reported.Load()
	if now-last >= int64(refusalReport) && g.reported.CompareAndSwap(last, now) {
		g.opts.Log.Error("runs are rejected because they could not be recorded", zap.Error(err))
	}
}

// optionsOf parses a prompt's options: an object or nothing.
func optionsOf(p execution.Prompt) (map[string]json.RawMessage, error) {
	if len(p.Options) == 0 {
		return nil, nil
	}
	var options map[string]json.RawMessage
	if err := json.Unmarshal(p.Options, &options); err != nil || options == nil {
		return nil, badOption("", "must be an object")
	}
	return options, nil
}

// badOption returns the error for an invalid option.
func badOption(key, detail string) error {
	field := "options"
	if key != "" {
		field += "." + asName(key, execution.MaxName)
	}
	return &fault.Error{Kind: fault.Invalid, Code: "invalid_field", Field: field, Detail: detail}
}
