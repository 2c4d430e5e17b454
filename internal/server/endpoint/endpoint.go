package endpoint

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/watchbill/watchbill/internal/observe"
)

// ResponseTimeout is the usual deadline of an endpoint.
const ResponseTimeout = 10 * time.Second

// Handler serves a route's requests once the caller is known. An error that it returns is sent as a problem document.
type Handler func(*Exchange) error

// Typed returns a handler that reads a request with read and passes it to do. The response is sent as JSON with the
// status, unless it is a sender.
func Typed[Req, Resp any](
	status int, read func(*Exchange) (Req, error), do func(context.Context, Req) (Resp, error),
) Handler {
	return TypedWithin(ResponseTimeout, status, read, do)
}

// TypedWithin is Typed with another deadline.
func TypedWithin[Req, Resp any](
	deadline time.Duration, status int, read func(*Exchange) (Req, error), do func(context.Context, Req) (Resp, error),
) Handler {
	return func(x *Exchange) error {
		req, err := read(x)
		if err != nil {
			return err
		}
		_ = x.ExtendDeadlines(deadline) // if unsupported, the server's timeouts apply
		ctx, cancel := context.WithTimeout(observe.WithAudience(x.Request.Context(), x.Audience), deadline)
		defer cancel()
		leave, err := x.enterTurn(ctx)
		if err != nil {
			return err
		}
		defer leave()
		resp, err := do(ctx, req)
		if err != nil {
			return err
		}
		return send(x, status, resp)
	}
}

// Sender is a response that sends itself, because it is not a plain JSON document.
type Sender interface{ Send(x *Exchange) error }

func send(x *Exchange, status int, resp any) error {
	if s, ok := resp.(Sender); ok {
		return s.Send(x)
	}
	if status == http.StatusNoContent {
		x.WriteHeader(status)
		return nil
	}
	return SendJSON(x, status, resp)
}

// SendJSON sends a response as JSON.
func SendJSON(x *Exchange, status int, resp any) error {
	body, err := json.Marshal(resp, json.Deterministic(true))
	if err != nil {
		return fmt.Errorf("encode a response: %w", err)
	}
	return Content{Status: status, MediaType: "application/json", Body: append(body, '\n')}.Send(x) // a line, for terminals
}

// Content is an encoded response.
type Content struct {
	Status    int
	MediaType string
	Body      []byte
	Header    map[string]string
}

// Send implements Sender.
func (c Content) Send(x *Exchange) error {
	giveBack, err := x.reserve(len(c.Body))
	if err != nil {
		return err
	}
	defer giveBack()
	header := x.Header()
	for name, value := range c.Header {
		header.Set(name, value)
	}
	header.Set("Content-Type", c.MediaType)
	header.Set("Content-Length", strconv.Itoa(len(c.Body)))
	x.WriteHeader(c.Status)
	x.writeBody(c.Body)
	return nil
}

// Nothing is an empty request, or an empty response.
type Nothing struct{}

// ReadNothing accepts any request: a probe must not fail because a proxy added a parameter.
func ReadNothing(*Exchange) (Nothing, error) { return Nothing{}, nil }

// ReadNoQuery reads a request without parameters and rejects any.
func ReadNoQuery(x *Exchange) (Nothing, error) { return Nothing{}, x.NoQuery() }
