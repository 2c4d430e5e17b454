package server

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/ratelimit"
)

// admit lets n runs, executions or enrolments of one subject in, as far as the limits allow: all of them or none. With n 0 it asks
// whether there is room for one, and takes none. The answer's headers say how the limits stand, whatever becomes of it; the
// error is a problem that says which limit it is.
func (s *Server) admit(x *exchange, scope ratelimit.Scope, who ratelimit.Subject, n int) error {
	return s.admitAll(x, scope, []ratelimit.Demand{{Subject: who, N: n}})
}

// admitAll is admit for several at once.
func (s *Server) admitAll(x *exchange, scope ratelimit.Scope, demands []ratelimit.Demand) error {
	if s.limits == nil {
		return nil
	}
	decision := s.limits.TakeAll(scope, demands)
	header := x.Header()
	if len(decision.Limits) > 0 {
		header.Set("RateLimit-Policy", limitPolicy(scope, decision.Limits))
		header.Set("RateLimit", limitState(decision.Limits))
	}
	if decision.Allowed {
		return nil
	}
	wait := max(int64((decision.RetryAfter+time.Second-1)/time.Second), 1)
	header.Set("Retry-After", strconv.FormatInt(wait, 10))
	return limited(decision, wait)
}

func limited(d ratelimit.Decision, wait int64) *openapi.Problem {
	if d.TooMany {
		return newProblem(http.StatusTooManyRequests, "rate_limited", "",
			"the limit %s lets at most %d in at once: split the batch", d.Reached, d.Reached.Burst)
	}
	return newProblem(http.StatusTooManyRequests, "rate_limited", "", "the limit %s is reached; try again in %d s", d.Reached, wait)
}

// admitting hands the ingest limits down to whoever decodes the executions that the caller sends: ratelimit.Admit asks them.
// The answer's headers are set here; its status and its words are then the asker's.
func (s *Server) admitting(ctx context.Context, x *exchange) context.Context {
	if s.limits == nil {
		return ctx
	}
	return ratelimit.WithGate(ctx, func(executions []execution.Execution) error {
		err := s.admitAll(x, ratelimit.Ingest, ratelimit.DemandsOf(x.caller.ingest, executions))
		if p := problemOf(err); p != nil {
			return errors.New(p.Detail)
		}
		return err
	})
}

// limitPolicy is the limits that apply, as draft-ietf-httpapi-ratelimit-headers-10 has it: a list of RFC 9651. The draft has no
// word for a burst, and none of its units is an execution, so these come as parameters of our own.
func limitPolicy(scope ratelimit.Scope, limits []ratelimit.State) string {
	b := make([]byte, 0, 64*len(limits))
	for i, l := range limits {
		b = appendItem(b, i, l.Name)
		b = appendParameter(b, ";q=", l.Limit)
		b = appendParameter(b, ";w=", l.Window)
		if l.Burst != l.Limit {
			b = appendParameter(b, ";watchbill-burst=", l.Burst)
		}
		if scope == ratelimit.Ingest {
			b = append(b, `;watchbill-unit="executions"`...)
		}
	}
	return string(b)
}

// limitState is what is left of each limit, and in how many seconds there is more; that is left out where it is full.
func limitState(limits []ratelimit.State) string {
	b := make([]byte, 0, 32*len(limits))
	for i, l := range limits {
		b = appendItem(b, i, l.Name)
		b = appendParameter(b, ";r=", l.Remaining)
		if l.Reset > 0 {
			b = appendParameter(b, ";t=", l.Reset)
		}
	}
	return string(b)
}

// appendItem begins an item of a list. A limit's name has nothing in it that a string of RFC 9651 would have to escape.
func appendItem(b []byte, place int, name string) []byte {
	if place > 0 {
		b = append(b, ", "...)
	}
	b = append(b, '"')
	b = append(b, name...)
	return append(b, '"')
}

func appendParameter(b []byte, name string, value int64) []byte {
	return strconv.AppendInt(append(b, name...), value, 10)
}
