package server

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/watchbill/watchbill/internal/observe"
)

const (
	answerWithin = 10 * time.Second // an endpoint's deadline
	reportWithin = 30 * time.Second // the deadline of an endpoint that computes a report
)

// handler serves a route's requests once the caller is known. An error that it returns is sent as a problem document.
type handler func(*Server, *exchange) error

// typed returns a handler that reads a request with read and passes it to do. The response is sent as JSON with the
// status, unless it is a sender.
func typed[Req, Resp any](
	status int, read func(*exchange) (Req, error), do func(*Server, context.Context, Req) (Resp, error),
) handler {
	return typedWithin(answerWithin, status, read, do)
}

// typedWithin is typed with another deadline.
func typedWithin[Req, Resp any](
	deadline time.Duration, status int, read func(*exchange) (Req, error), do func(*Server, context.Context, Req) (Resp, error),
) handler {
	return func(s *Server, x *exchange) error {
		req, err := read(x)
		if err != nil {
			return err
		}
		_ = x.extendDeadlines(s.now(), deadline) // if unsupported, the server's timeouts apply
		ctx, cancel := context.WithTimeout(observe.WithAudience(x.r.Context(), x.audience), deadline)
		defer cancel()
		leave, err := s.enterTurn(ctx, x)
		if err != nil {
			return err
		}
		defer leave()
		resp, err := do(s, ctx, req)
		if err != nil {
			return err
		}
		return send(x, status, resp)
	}
}

// sender is a response that sends itself, because it is not a plain JSON document.
type sender interface{ send(x *exchange) error }

func send(x *exchange, status int, resp any) error {
	if s, ok := resp.(sender); ok {
		return s.send(x)
	}
	if status == http.StatusNoContent {
		x.WriteHeader(status)
		return nil
	}
	return sendJSON(x, status, resp)
}

func sendJSON(x *exchange, status int, resp any) error {
	body, err := json.Marshal(resp, json.Deterministic(true))
	if err != nil {
		return fmt.Errorf("encode a response: %w", err)
	}
	return content{status: status, mediaType: "application/json", body: append(body, '\n')}.send(x) // a line, for terminals
}

// content is an encoded response.
type content struct {
	status    int
	mediaType string
	body      []byte
	header    map[string]string
}

func (c content) send(x *exchange) error {
	giveBack, err := x.takeAnswer(len(c.body))
	if err != nil {
		return err
	}
	defer giveBack()
	header := x.Header()
	for name, value := range c.header {
		header.Set(name, value)
	}
	header.Set("Content-Type", c.mediaType)
	header.Set("Content-Length", strconv.Itoa(len(c.body)))
	x.WriteHeader(c.status)
	x.writeBody(c.body)
	return nil
}

// nothing is an empty request, or an empty response.
type nothing struct{}

// readNothing accepts any request: a probe must not fail because a proxy added a parameter.
func readNothing(*exchange) (nothing, error) { return nothing{}, nil }
