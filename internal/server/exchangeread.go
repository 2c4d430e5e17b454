package server

import (
	"bytes"
	"io"
	"net/http"

	"github.com/google/uuid"

	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/server/input"
	"github.com/watchbill/watchbill/internal/server/problem"
)

// query parses the request's query string. It hides admin_token from endpoints.
func (x *exchange) query() input.Query {
	q := input.ParseQuery(x.r.URL.RawQuery)
	q.Hide(adminTokenParameter)
	return q
}

// noQuery rejects any parameter.
func (x *exchange) noQuery() error {
	q := x.query()
	return q.Done()
}

// agentID reads the agent id in the path.
func (x *exchange) agentID() (string, error) {
	if err := fleet.ValidateAgentID("agent_id", x.param); err != nil {
		return "", err
	}
	return x.param, nil
}

// userID reads the user id in the path.
func (x *exchange) userID() (string, error) { return x.param, input.CheckUserID(x.param) }

// id reads the UUID in the path. field is its name in errors.
func (x *exchange) id(field string) (uuid.UUID, error) {
	id, ok := input.ParseUUID(x.param)
	if !ok {
		return uuid.UUID{}, problem.BadRequest("invalid_field", field, "must be a UUID")
	}
	return id, nil
}

// header reads a header that may be given once. given is false if it is missing.
func (x *exchange) header(name string) (value string, given bool, err error) {
	values := x.r.Header[http.CanonicalHeaderKey(name)]
	switch len(values) {
	case 0:
		return "", false, nil
	case 1:
		return values[0], true, nil
	default:
		return "", true, problem.BadRequest("repeated_parameter", name, "must be given once")
	}
}

// decode reads the request's body, a JSON object, into the value that into points to. It rejects unknown members and
// values that PostgreSQL cannot store. It also rejects null, except inside the opaque members, which callers define.
func (x *exchange) decode(into any, opaque ...string) error {
	return x.decodeUpTo(input.MaxBody, into, opaque...)
}

// decodeUpTo is decode with another size limit.
func (x *exchange) decodeUpTo(limit int64, into any, opaque ...string) error {
	body, _, err := x.readBody(limit, "application/json")
	if err != nil {
		return err
	}
	return input.DecodeJSON(body, into, opaque...)
}

// refuseBody returns an error unless the body is missing or an empty object.
func (x *exchange) refuseBody() error {
	const enough = 16 // bytes, to recognize an empty object
	body, err := io.ReadAll(io.LimitReader(x.body, enough))
	if said := string(bytes.TrimSpace(body)); err != nil || len(body) == enough || said != "" && said != "{}" {
		return problem.BadRequest("unexpected_body", "", "this request has no body")
	}
	return nil
}

// readBody reads the request's whole body and returns which of the media types it has.
func (x *exchange) readBody(limit int64, mediaTypes ...string) (body []byte, mediaType string, err error) {
	mediaType, err = input.CheckMediaType(x.r.Header, mediaTypes...)
	if err != nil {
		return nil, "", err
	}
	body, err = x.readAll(limit)
	return body, mediaType, err
}

func (x *exchange) readAll(limit int64) ([]byte, error) {
	if x.r.ContentLength > limit {
		return nil, input.ErrTooLarge(limit)
	}
	all, err := x.body.readAll(limit)
	x.bytesIn = x.body.read
	if err != nil {
		return nil, input.BrokenBody(err)
	}
	return all, nil
}
