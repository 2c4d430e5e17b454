package ingest

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"go.uber.org/zap"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/ratelimit"
	"github.com/watchbill/watchbill/internal/server/endpoint"
	"github.com/watchbill/watchbill/internal/server/input"
	"github.com/watchbill/watchbill/internal/server/problem"
)

// Limits of a request that runs an agent.
const (
	MaxMessage = 256 << 10 // bytes
	MaxOptions = 64 << 10  // bytes
	maxType    = 128       // bytes

	// eventWithin is how long a client may take to read an event, or eventPart bytes of a large one. After that it is
	// considered gone: a run must not wait for a client that does not read.
	eventWithin = 10 * time.Second
	eventPart   = 64 << 10 // bytes
)

var promptType = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:/-]*$`)

// processStream serves POST /api/ai/process-stream: it runs an agent and forwards the run's events as they arrive. The
// recorded latency ends with the first event; the run's duration is in its execution.
func (a *API) processStream(x *endpoint.Exchange) error {
	prompt, err := readPrompt(x)
	if err != nil {
		return err
	}
	who := ratelimit.Subject{Token: x.Caller.Ingest, User: prompt.UserID, Agent: a.Gateway.AgentFor(prompt.Type)}
	if err := x.Admit(ratelimit.Gateway, who, 1); err != nil {
		return err
	}
	if a.streaming.Err() != nil {
		return errShuttingDown
	}
	run, err := a.Gateway.Start(prompt)
	if err != nil {
		return err
	}
	x.Body.Release() // the number of runs is limited elsewhere, and a run may take an hour
	return a.stream(x, run)
}

var errShuttingDown = problem.New(http.StatusServiceUnavailable, "shutting_down", "", "this replica is shutting down; try again")

func readPrompt(x *endpoint.Exchange) (execution.Prompt, error) {
	if err := x.NoQuery(); err != nil {
		return execution.Prompt{}, err
	}
	var body openapi.ProcessStreamRequest
	if err := x.Decode(&body, "options"); err != nil {
		return execution.Prompt{}, err
	}
	prompt := execution.Prompt{
		Type: body.Type, UserID: body.UserID, SessionID: body.SessionID, RequestID: x.RequestID, Message: body.Message, Options: body.Options,
	}
	return prompt, checkPrompt(prompt)
}

func checkPrompt(p execution.Prompt) error {
	switch {
	case p.Type == "":
		return problem.BadRequest("missing_field", "type", "is required")
	case len(p.Type) > maxType || !promptType.MatchString(p.Type):
		return problem.BadRequest("invalid_field", "type", "must be at most %d letters, digits and . _ : / -, and begin with a letter or digit", maxType)
	case p.Message == "":
		return problem.BadRequest("missing_field", "message", "is required")
	case len(p.Message) > MaxMessage:
		return problem.BadRequest("invalid_field", "message", "must be at most %d bytes", MaxMessage)
	case len(p.Options) > 0 && p.Options[0] != '{':
		return problem.BadRequest("invalid_type", "options", "must be an object")
	case len(p.Options) > MaxOptions:
		return problem.BadRequest("invalid_field", "options", "must be at most %d bytes", MaxOptions)
	}
	if err := input.CheckUserID(p.UserID); err != nil {
		return err
	}
	if len(p.SessionID) > execution.MaxUser || strings.ContainsFunc(p.SessionID, unicode.IsControl) {
		return problem.BadRequest("invalid_field", "session_id", "must be at most %d bytes without control characters", execution.MaxUser)
	}
	return nil
}

// stream streams a run to its end. It ends early if the client goes away or EndStreams is called.
func (a *API) stream(x *endpoint.Exchange, run execution.Run) error {
	ctx, cancel := context.WithCancelCause(x.Request.Context())
	defer cancel(nil)
	stop := context.AfterFunc(a.streaming, func() { cancel(ErrEnded) })
	defer stop()

	out := eventStream{x: x, control: http.NewResponseController(x.ResponseWriter), now: a.Now, within: a.EventWithin}
	out.begin()
	run.Stream(ctx, out.emit)
	if out.err == nil && !out.complete && x.Request.Context().Err() == nil {
		_ = out.emit(a.endOf(ctx, x))
	}
	switch {
	case out.err == nil && x.Request.Context().Err() == nil:
		out.end()
		return nil
	case out.err != nil && !errors.Is(out.err, ErrClientGone):
		a.Log.Error("an event cannot be encoded", x.Describe(zap.Error(out.err))...)
	}
	x.Abandon() // a partial response must not look complete
	return nil
}

// endOf returns the last event of a run that sent none.
func (a *API) endOf(ctx context.Context, x *endpoint.Exchange) execution.Event {
	why := errShuttingDown
	if !errors.Is(context.Cause(ctx), ErrEnded) {
		why = problem.ErrInternal
		a.Log.Error("a run ended without an outcome", x.Describe()...)
	}
	return execution.Event{Name: "error", Data: map[string]string{"code": why.Code, "message": why.Detail}}
}

// EndStreams ends all streamed runs, each with an error event, and rejects new ones. A replica that shuts down calls it
// after it has given runs time to complete.
func (a *API) EndStreams() { a.endStreams() }

// Causes that end a streamed run early.
var (
	ErrClientGone = errors.New("the client is gone")
	ErrEnded      = errors.New("the replica is shutting down")
)

// eventStream writes events as text/event-stream (HTML standard, section 9.2). It is not safe for concurrent use.
type eventStream struct {
	x       *endpoint.Exchange
	control *http.ResponseController
	now     func() time.Time
	within  time.Duration
	begun   bool
	// complete reports whether the last event was sent.
	complete bool
	err      error
}

// begin removes the server's timeouts from the connection, since a run may take longer. A client that is gone is
// noticed by writing to it, which happens at least at every heartbeat.
func (o *eventStream) begin() {
	_ = o.control.SetReadDeadline(time.Time{}) // if unsupported, the server's timeouts apply
	_ = o.control.SetWriteDeadline(time.Time{})
}

// end allows net/http as much time for the rest of the response as for an event.
func (o *eventStream) end() { _ = o.control.SetWriteDeadline(o.now().Add(o.within)) }

// emit sends an event. After an error it sends nothing and returns the error again.
func (o *eventStream) emit(event execution.Event) error {
	if o.err != nil {
		return o.err
	}
	var frame []byte
	if frame, o.err = frameOf(event); o.err != nil {
		return o.err
	}
	if !o.begun {
		o.begun = true
		header := o.x.Header()
		header.Set("Content-Type", "text/event-stream")
		header.Set("X-Accel-Buffering", "no") // otherwise nginx holds events back until a buffer is full
		o.x.WriteHeader(http.StatusOK)
	}
	if err := o.write(frame); err != nil {
		o.err = errors.Join(ErrClientGone, err)
	}
	o.complete = o.complete || event.Name == "completed" || event.Name == "error"
	return o.err
}

func (o *eventStream) write(frame []byte) error {
	for part := range slices.Chunk(frame, eventPart) {
		_ = o.control.SetWriteDeadline(o.now().Add(o.within)) // if unsupported, the server's timeout applies
		if _, err := o.x.Write(part); err != nil {
			return err
		}
	}
	if err := o.control.Flush(); err != nil {
		return err
	}
	_ = o.control.SetWriteDeadline(time.Time{}) // HTTP/2 ends a stream at its deadline even if nothing is written
	return nil
}

var heartbeat = []byte(": heartbeat\n\n")

// frameOf encodes an event. The JSON has no line breaks: within strings they are escaped.
func frameOf(event execution.Event) ([]byte, error) {
	if event.Name == "" {
		return heartbeat, nil
	}
	var frame bytes.Buffer
	frame.WriteString("event: " + event.Name + "\ndata: ")
	if err := json.MarshalWrite(&frame, event.Data, jsontext.AllowInvalidUTF8(true), json.Deterministic(true)); err != nil {
		return nil, err
	}
	frame.WriteString("\n\n")
	return frame.Bytes(), nil
}
