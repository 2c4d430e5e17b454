package traffic

import (
	"context"
	"encoding/binary"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/server/endpoint"
	"github.com/watchbill/watchbill/internal/server/input"
	"github.com/watchbill/watchbill/internal/text"
)

// Events reads what happened.
type Events interface {
	List(ctx context.Context, query fleet.EventQuery) ([]fleet.Event, error)
}

const maxMessageShown = 1024 // bytes

// eventsQuery is a request for a page of events.
type eventsQuery struct {
	fleet.EventQuery
	list input.List
}

func readEventQuery(x *endpoint.Exchange) (eventsQuery, error) {
	q := x.Query()
	var filters []string
	given := x.Request.URL.Query()
	for _, name := range []string{"kind", "agent_id", "from", "to"} {
		filters = append(filters, strings.Join(given[name], ","))
	}
	req := eventsQuery{EventQuery: fleet.EventQuery{Kind: input.OneOf(&q, "kind", fleet.EventKinds()...), Limit: q.Limit()}, list: input.NewList("events", filters...)}
	if agent, given := q.Text("agent_id"); given {
		q.Keep(fleet.ValidateAgentID("agent_id", agent))
		req.AgentID = agent
	}
	req.From, req.To = q.Within()
	cursor, more := q.Text("cursor")
	if err := q.Done(); err != nil {
		return req, err
	}
	var err error
	if more {
		req.After, err = afterEvent(req.list, cursor)
	}
	return req, err
}

// cursorAfterEvent returns the cursor of the page that follows an event. Its position consists of the event's time, its
// kind, a zero byte and its id.
func cursorAfterEvent(l input.List, e *fleet.Event) string {
	position := binary.BigEndian.AppendUint64(nil, uint64(e.Time.UnixMicro()))
	return l.Cursor(string(position) + string(e.Kind) + "\x00" + e.ID)
}

func afterEvent(l input.List, cursor string) (fleet.EventKey, error) {
	position, err := l.Position(cursor)
	if err != nil || len(position) <= 8 {
		return fleet.EventKey{}, input.ErrCursor
	}
	at := int64(binary.BigEndian.Uint64([]byte(position)))
	kind, id, ok := strings.Cut(position[8:], "\x00")
	latest := time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro()
	if !ok || at < 0 || at > latest || !slices.Contains(fleet.EventKinds(), fleet.EventKind(kind)) || !utf8.ValidString(id) || strings.Contains(id, "\x00") {
		return fleet.EventKey{}, input.ErrCursor
	}
	return fleet.EventKey{Time: time.UnixMicro(at).UTC(), Kind: fleet.EventKind(kind), ID: id}, nil
}

func (a *API) listEvents(ctx context.Context, req eventsQuery) (openapi.EventList, error) {
	query := req.EventQuery
	query.Limit++
	found, err := a.Events.List(ctx, query)
	if err != nil {
		return openapi.EventList{}, err
	}
	response := openapi.EventList{Status: "success"}
	if len(found) > req.Limit {
		found = found[:req.Limit]
		response.NextCursor = cursorAfterEvent(req.list, &found[len(found)-1])
	}
	response.Events = make([]openapi.Event, len(found))
	for i, e := range found {
		response.Events[i] = openapi.Event{
			Time: e.Time.UTC(), Kind: openapi.EventKind(e.Kind), Actor: e.Actor, AgentID: e.AgentID, DeploymentID: e.DeploymentID,
			ReportID: e.ReportID, Name: e.Name, Status: e.Status, Message: text.Clip(e.Message, maxMessageShown),
		}
	}
	return response, nil
}
