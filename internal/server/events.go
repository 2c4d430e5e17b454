package server

import (
	"context"
	"encoding/binary"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/text"
)

// Events reads what happened.
type Events interface {
	List(ctx context.Context, query fleet.EventQuery) ([]fleet.Event, error)
}

// eventsQuery is a request for a page of events.
type eventsQuery struct {
	fleet.EventQuery
	list list
}

func readEventQuery(x *exchange) (eventsQuery, error) {
	q := x.query()
	var filters []string
	for _, name := range []string{"kind", "agent_id", "from", "to"} {
		filters = append(filters, strings.Join(q.values[name], ","))
	}
	req := eventsQuery{EventQuery: fleet.EventQuery{Kind: oneOf(&q, "kind", fleet.EventKinds()...), Limit: q.limit()}, list: list{"events", filters}}
	if agent, given := q.text("agent_id"); given {
		q.keep(fleet.ValidateAgentID("agent_id", agent))
		req.AgentID = agent
	}
	req.From, req.To = q.within()
	cursor, given := q.text("cursor")
	if err := q.done(); err != nil {
		return req, err
	}
	var err error
	if given {
		req.After, err = req.list.afterEvent(cursor)
	}
	return req, err
}

// cursorAfterEvent returns the cursor of the page that follows an event. Its position consists of the event's time, its
// kind, a zero byte and its id.
func (l list) cursorAfterEvent(e *fleet.Event) string {
	position := binary.BigEndian.AppendUint64(nil, uint64(e.Time.UnixMicro()))
	return l.cursor(string(position) + string(e.Kind) + "\x00" + e.ID)
}

func (l list) afterEvent(cursor string) (fleet.EventKey, error) {
	position, err := l.position(cursor)
	if err != nil || len(position) <= 8 {
		return fleet.EventKey{}, errCursor
	}
	at := int64(binary.BigEndian.Uint64([]byte(position)))
	kind, id, ok := strings.Cut(position[8:], "\x00")
	latest := time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro()
	if !ok || at < 0 || at > latest || !slices.Contains(fleet.EventKinds(), fleet.EventKind(kind)) || !utf8.ValidString(id) || strings.Contains(id, "\x00") {
		return fleet.EventKey{}, errCursor
	}
	return fleet.EventKey{Time: time.UnixMicro(at).UTC(), Kind: fleet.EventKind(kind), ID: id}, nil
}

func (s *Server) listEvents(ctx context.Context, req eventsQuery) (openapi.EventList, error) {
	query := req.EventQuery
	query.Limit++
	found, err := s.events.List(ctx, query)
	if err != nil {
		return openapi.EventList{}, err
	}
	answer := openapi.EventList{Status: succeeded}
	if len(found) > req.Limit {
		found = found[:req.Limit]
		answer.NextCursor = req.list.cursorAfterEvent(&found[len(found)-1])
	}
	answer.Events = make([]openapi.Event, len(found))
	for i, e := range found {
		answer.Events[i] = openapi.Event{
			Time: e.Time.UTC(), Kind: openapi.EventKind(e.Kind), Actor: e.Actor, AgentID: e.AgentID, DeploymentID: e.DeploymentID,
			ReportID: e.ReportID, Name: e.Name, Status: e.Status, Message: text.Clip(e.Message, maxErrorShown),
		}
	}
	return answer, nil
}
