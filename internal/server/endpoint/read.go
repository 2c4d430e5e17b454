package endpoint

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/report"
	"github.com/watchbill/watchbill/internal/server/input"
	"github.com/watchbill/watchbill/internal/server/problem"
)

// AdminTokenParameter is the query parameter with an admin token.
const AdminTokenParameter = "admin_token"

// Query parses the request's query string. It hides admin_token from endpoints.
func (x *Exchange) Query() input.Query {
	q := input.ParseQuery(x.Request.URL.RawQuery)
	q.Hide(AdminTokenParameter)
	return q
}

// NoQuery rejects any parameter.
func (x *Exchange) NoQuery() error {
	q := x.Query()
	return q.Done()
}

// AgentID reads the agent id in the path.
func (x *Exchange) AgentID() (string, error) {
	if err := fleet.ValidateAgentID("agent_id", x.Param); err != nil {
		return "", err
	}
	return x.Param, nil
}

// UserID reads the user id in the path.
func (x *Exchange) UserID() (string, error) { return x.Param, input.CheckUserID(x.Param) }

// ID reads the UUID in the path. field is its name in errors.
func (x *Exchange) ID(field string) (uuid.UUID, error) {
	id, ok := input.ParseUUID(x.Param)
	if !ok {
		return uuid.UUID{}, problem.BadRequest("invalid_field", field, "must be a UUID")
	}
	return id, nil
}

// HeaderValue reads a header that may be given once. given is false if it is missing.
func (x *Exchange) HeaderValue(name string) (value string, given bool, err error) {
	values := x.Request.Header[http.CanonicalHeaderKey(name)]
	switch len(values) {
	case 0:
		return "", false, nil
	case 1:
		return values[0], true, nil
	default:
		return "", true, problem.BadRequest("repeated_parameter", name, "must be given once")
	}
}

// Decode reads the request's body, a JSON object, into the value that into points to. It rejects unknown members and
// values that PostgreSQL cannot store. It also rejects null, except inside the opaque members, which callers define.
func (x *Exchange) Decode(into any, opaque ...string) error {
	return x.DecodeUpTo(input.MaxBody, into, opaque...)
}

// DecodeUpTo is decode with another size limit.
func (x *Exchange) DecodeUpTo(limit int64, into any, opaque ...string) error {
	body, _, err := x.ReadBody(limit, "application/json")
	if err != nil {
		return err
	}
	return input.DecodeJSON(body, into, opaque...)
}

// NoBody returns an error unless the body is missing or an empty object.
func (x *Exchange) NoBody() error {
	const enough = 16 // bytes, to recognize an empty object
	body, err := io.ReadAll(io.LimitReader(x.Body, enough))
	if said := string(bytes.TrimSpace(body)); err != nil || len(body) == enough || said != "" && said != "{}" {
		return problem.BadRequest("unexpected_body", "", "this request has no body")
	}
	return nil
}

// ReadBody reads the request's whole body and returns which of the media types it has.
func (x *Exchange) ReadBody(limit int64, mediaTypes ...string) (body []byte, mediaType string, err error) {
	mediaType, err = input.CheckMediaType(x.Request.Header, mediaTypes...)
	if err != nil {
		return nil, "", err
	}
	body, err = x.readAll(limit)
	return body, mediaType, err
}

func (x *Exchange) readAll(limit int64) ([]byte, error) {
	if x.Request.ContentLength > limit {
		return nil, input.ErrTooLarge(limit)
	}
	all, err := x.Body.readAll(limit)
	x.BytesIn = x.Body.read
	if err != nil {
		return nil, input.BrokenBody(err)
	}
	return all, nil
}

// NewID returns a new id that sorts by time.
func NewID(random io.Reader) (uuid.UUID, error) {
	id, err := uuid.NewV7FromReader(random)
	if err != nil {
		return id, fmt.Errorf("mint an id: %w", err)
	}
	return id, nil
}

// DefaultHours is the window of metrics and reports unless the request sets another one.
const DefaultHours = 24

// Span is the window of a request for figures: the last hours, or from one time to another.
type Span struct {
	Hours int64
	fixed report.Window // zero if the window is the last hours
}

// ReadSpan reads a request whose only parameters are hours, or from and to.
func ReadSpan(x *Exchange) (Span, error) {
	q := x.Query()
	if !q.Has("from") && !q.Has("to") {
		hours := q.Integer("hours", DefaultHours, 1, report.MaxHours)
		return Span{Hours: hours}, q.Done()
	}
	window := q.Window(x.Shared.Now())
	// A window is widened to whole minutes, which are not counted.
	hours := (window.To.Sub(window.From) - 2*time.Minute + time.Hour - 1) / time.Hour
	return Span{max(1, int64(hours)), window}, q.Done()
}

// Window returns the window at a time.
func (s Span) Window(now time.Time) (report.Window, error) {
	if s.fixed != (report.Window{}) {
		return s.fixed, nil
	}
	return report.LastHours(s.Hours, now)
}
