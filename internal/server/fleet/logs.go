package fleet

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"github.com/google/uuid"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/server/endpoint"
	"github.com/watchbill/watchbill/internal/server/problem"
)

const (
	maxOffset  = 1 << 53 // the largest integer that a JSON number represents exactly
	maxLogRead = 1 << 20 // bytes
)

type logChunk struct {
	agentID string
	id      uuid.UUID
	attempt int
	offset  int64
	data    []byte
}

func readLogChunk(x *endpoint.Exchange) (logChunk, error) {
	id, err := x.ID("deployment_id")
	if err != nil {
		return logChunk{}, err
	}
	q := x.Query()
	chunk := logChunk{
		agentID: x.Caller.Agent.ID(), id: id,
		attempt: int(q.Required("attempt", 1, fleet.MaxAttempts)), offset: q.Required("offset", 0, maxOffset),
	}
	if err := q.Done(); err != nil {
		return chunk, err
	}
	chunk.data, _, err = x.ReadBody(fleet.MaxLogChunk, "text/plain")
	return chunk, err
}

// appendLog appends a chunk to a log. If the chunk does not fit, the problem includes the offset at which to continue.
func (a *API) appendLog(ctx context.Context, chunk logChunk) (openapi.LogPosition, error) {
	next, err := a.Deployments.AppendLog(ctx, chunk.agentID, chunk.id, chunk.attempt, chunk.offset, chunk.data)
	switch {
	case errors.Is(err, fleet.ErrLogGap), errors.Is(err, fleet.ErrLogFull):
		p := problem.Of(err)
		p.NextOffset = &next
		return openapi.LogPosition{}, p
	case err != nil:
		return openapi.LogPosition{}, err
	}
	return openapi.LogPosition{NextOffset: next}, nil
}

type logQuery struct {
	caller  endpoint.Caller
	id      uuid.UUID
	attempt int // 0 for the latest
	offset  int64
	limit   int
}

func readLogQuery(x *endpoint.Exchange) (logQuery, error) {
	id, err := x.ID("deployment_id")
	if err != nil {
		return logQuery{}, err
	}
	q := x.Query()
	req := logQuery{caller: x.Caller, id: id, offset: q.Integer("offset", 0, 0, maxOffset), limit: int(q.Integer("limit", fleet.MaxLogChunk, 1, maxLogRead))}
	if q.Has("attempt") {
		req.attempt = int(q.Required("attempt", 1, fleet.MaxAttempts))
	}
	return req, q.Done()
}

func (a *API) readLog(ctx context.Context, q logQuery) (endpoint.Content, error) {
	if !q.caller.Admin {
		d, _, err := a.Deployments.Deployment(ctx, q.id)
		if err != nil {
			return endpoint.Content{}, err
		}
		if d.AgentID != q.caller.Agent.ID() {
			return endpoint.Content{}, errNotYours
		}
	}
	part, err := a.Deployments.ReadLog(ctx, q.id, q.attempt, q.offset, q.limit)
	switch {
	case errors.Is(err, fleet.ErrStaleAttempt):
		return endpoint.Content{}, problem.New(http.StatusNotFound, "attempt_not_found", "attempt", "the deployment has had no such attempt")
	case err != nil:
		return endpoint.Content{}, a.orGroup(ctx, q.id, err)
	}
	return endpoint.Content{
		Status: http.StatusOK, MediaType: "text/plain; charset=utf-8", Body: part.Data,
		Header: map[string]string{
			"Watchbill-Next-Offset":  strconv.FormatInt(part.Offset+int64(len(part.Data)), 10),
			"Watchbill-Log-Complete": strconv.FormatBool(part.Complete),
		},
	}, nil
}
