package endpoint

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/ratelimit"
	"github.com/watchbill/watchbill/internal/server/problem"
)

// Admit admits n runs, executions or enrollments of one subject, or rejects all of them. With n 0 it checks whether one
// more would be admitted and takes nothing. In either case it sets the response's RateLimit headers. The error is a
// problem that names the limit.
func (x *Exchange) Admit(scope ratelimit.Scope, who ratelimit.Subject, n int) error {
	return x.AdmitAll(scope, []ratelimit.Demand{{Subject: who, N: n}})
}

// AdmitAll is like admit for several demands: all are admitted or none.
func (x *Exchange) AdmitAll(scope ratelimit.Scope, demands []ratelimit.Demand) error {
	if x.Shared.Limiter == nil {
		return nil
	}
	decision := x.Shared.Limiter.TakeAll(scope, demands)
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
		return problem.New(http.StatusTooManyRequests, "rate_limited", "",
			"the limit %s admits at most %d at once: split the batch", d.Reached, d.Reached.Burst)
	}
	return problem.New(http.StatusTooManyRequests, "rate_limited", "", "the limit %s is reached; try again in %d s", d.Reached, wait)
}

// Admitting returns a context in which execution.Admit checks the ingest limits, for the code that decodes the
// executions of a request. The check sets the response's headers; the code that calls it chooses the status and
// message.
func (x *Exchange) Admitting(ctx context.Context) context.Context {
	if x.Shared.Limiter == nil {
		return ctx
	}
	return execution.WithGate(ctx, func(executions []execution.Execution) error {
		err := x.AdmitAll(ratelimit.Ingest, ratelimit.DemandsOf(x.Caller.Ingest, executions))
		if p := problem.Of(err); p != nil {
			return errors.New(p.Detail)
		}
		return err
	})
}

// limitPolicy formats the limits that apply as draft-ietf-httpapi-ratelimit-headers-10 defines: a list of RFC 9651. The
// draft has neither bursts nor executions as a unit, so Watchbill adds parameters for them.
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

// limitState formats what remains of each limit, and the seconds until there is more, which is omitted if the limit is
// full.
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

// appendItem begins an item of a list. Limit names contain nothing that a string of RFC 9651 has to escape.
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

// Retry-After is random between retryAfter and twice that, so that clients rejected together do not retry together.
const retryAfter = 2 // seconds

// HintRetry sets Retry-After if the status allows a retry and the header is not set yet.
func (x *Exchange) HintRetry(status int) {
	header := x.Header()
	if status != http.StatusServiceUnavailable && status != http.StatusTooManyRequests || header.Get("Retry-After") != "" {
		return
	}
	header.Set("Retry-After", strconv.Itoa(retryAfter+int(x.Shared.Jitter()*(retryAfter+1))))
}
