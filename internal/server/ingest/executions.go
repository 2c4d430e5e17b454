package ingest

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/ratelimit"
	"github.com/watchbill/watchbill/internal/server/endpoint"
	"github.com/watchbill/watchbill/internal/server/problem"
)

// recordExecutions handles POST /api/executions. It responds with 201 once the accepted executions are committed, or
// 422 if all are rejected.
func (a *API) recordExecutions(x *endpoint.Exchange) error {
	if err := x.NoQuery(); err != nil {
		return err
	}
	if err := x.Admit(ratelimit.Ingest, ratelimit.Subject{Token: x.Caller.Ingest}, 0); err != nil { // before reading the body
		return err
	}
	body, mediaType, err := x.ReadBody(MaxBody, "application/json", NDJSON)
	if err != nil {
		return err
	}
	in, err := a.decodeExecutions(body, mediaType)
	if err != nil {
		return err
	}
	if err := a.admitExecutions(x, in); err != nil {
		return err
	}
	_ = x.ExtendDeadlines(endpoint.ResponseTimeout) // if unsupported, the server's timeouts apply
	ctx, cancel := context.WithTimeout(x.Request.Context(), endpoint.ResponseTimeout)
	defer cancel()
	outcome, err := a.store(ctx, in)
	if err != nil {
		return err
	}
	status := http.StatusCreated
	if len(outcome.Rejected) == in.came {
		status = http.StatusUnprocessableEntity
	}
	return endpoint.SendJSON(x, status, recordedOf(outcome))
}

// admitExecutions checks the rate limits: the token's for all received executions, those of users and agents for the
// ones to be stored.
func (a *API) admitExecutions(x *endpoint.Exchange, in intake) error {
	if x.Shared.Limiter == nil {
		return nil
	}
	demands := ratelimit.DemandsOf(x.Caller.Ingest, in.batch.Executions)
	if n := len(in.rejected); n > 0 {
		demands = append(demands, ratelimit.Demand{Subject: ratelimit.Subject{Token: x.Caller.Ingest}, N: n})
	}
	return x.AdmitAll(ratelimit.Ingest, demands)
}

// decodeExecutions decodes each execution independently: a malformed one does not fail the others.
func (a *API) decodeExecutions(body []byte, mediaType string) (intake, error) {
	in := intake{reader: newExecutionReader()}
	in.reader.arena.left = len(body)
	if mediaType == NDJSON || !in.scan(body) {
		in = intake{reader: in.reader}
		came, err := split(body, mediaType)
		if err != nil {
			return intake{}, err
		}
		in.batch.Executions = make([]execution.Execution, 0, len(came))
		for _, raw := range came {
			in.add(raw, in.reader.read)
		}
	}
	if a.UnreadCount != nil {
		for _, name := range in.unread {
			a.UnreadCount(name)
		}
	}
	now := a.Now().UTC().Truncate(time.Microsecond)
	bounds := execution.Acceptance{Now: now, Keep: now.Sub(time.Unix(0, 0))} // only the ledger knows the retention
	for i := range in.batch.Executions {
		e := &in.batch.Executions[i]
		if err := a.complete(e, now); err != nil {
			return intake{}, err
		}
		if e.SpanID != "" && e.Check(bounds) == nil { // rejected executions must not leave a span
			if in.batch.Spans == nil {
				in.batch.Spans = make([]execution.Span, 0, len(in.batch.Executions)-i)
			}
			in.batch.Spans = append(in.batch.Spans, spanOf(e))
		}
	}
	return in, nil
}

// complete sets the fields that the caller left out.
func (a *API) complete(e *execution.Execution, now time.Time) error {
	if e.CreatedAt.IsZero() {
		e.CreatedAt = now
	}
	if e.ID == "" {
		id, err := endpoint.NewID(a.Random)
		if err != nil {
			return err
		}
		e.ID = id.String()
	}
	if e.RequestID == "" {
		e.RequestID = e.ID
	}
	if e.Tokens.Used == 0 {
		e.Tokens.Used = e.Tokens.Input + e.Tokens.Output
	}
	return nil
}

// spanOf returns an execution's span, which relates it to other executions of its trace, however they are sent.
func spanOf(e *execution.Execution) execution.Span {
	return execution.Span{
		TraceID: e.TraceID, SpanID: e.SpanID, ParentSpanID: e.ParentSpanID,
		Agent: e.AgentName, User: e.UserID, Session: e.SessionID, Execution: true,
	}
}

// store stores the batch. The indexes of its rejections are those of the request.
func (a *API) store(ctx context.Context, in intake) (execution.Outcome, error) {
	if len(in.batch.Executions) == 0 {
		return execution.Outcome{Rejected: in.rejected}, nil
	}
	outcome, err := a.Ledger.Append(ctx, in.batch)
	if err != nil {
		return execution.Outcome{}, err
	}
	rejected := in.rejected
	for _, r := range outcome.Rejected {
		if r.Index < 0 || r.Index >= len(in.indexes) {
			return execution.Outcome{}, fmt.Errorf("the ledger rejects execution %d of %d", r.Index, len(in.indexes))
		}
		r.Index = in.indexes[r.Index]
		rejected = append(rejected, r)
	}
	slices.SortFunc(rejected, func(a, b execution.Rejection) int { return cmp.Compare(a.Index, b.Index) })
	outcome.Rejected = rejected
	return outcome, nil
}

func recordedOf(o execution.Outcome) openapi.RecordedExecutions {
	response := openapi.RecordedExecutions{
		Accepted: int32(o.Accepted), Duplicates: int32(o.Duplicates), Rejected: make([]openapi.RejectedExecution, len(o.Rejected)),
	}
	for i, r := range o.Rejected {
		response.Rejected[i] = openapi.RejectedExecution{Index: int32(r.Index), Code: r.Code, Field: problem.Clip(r.Field), Detail: problem.Clip(r.Detail)}
	}
	return response
}
