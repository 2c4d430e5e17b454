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
	reportWithin = 30 * time.Second // that of one which computes a report
)

// handler is what a route does once it is known who asks. An error that it returns is answered as a problem.
type handler func(*Server, *exchange) error

// typed makes a handler of what reads a request off the wire and what does the work. The answer, unless it knows how to
// send itself, is sent as JSON with the status.
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
		_ = x.extendDeadlines(s.now(), deadline) // where that is not to be had, the server's own timeouts hold
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

// sender is an answer that is not simply a JSON document.
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
		return fmt.Errorf("encode an answer: %w", err)
	}
	return content{status: status, mediaType: "application/json", body: body}.send(x)
}

// content is an answer that is written already.
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

// nothing is a request that says nothing, or the answer 204.
type nothing struct{}

// readNothing reads a request that cannot be wrong: a probe must not fail for a parameter that some proxy added.
func readNothing(*exchange) (nothing, error) { return nothing{}, nil }
