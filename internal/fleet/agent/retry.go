package agent

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/watchbill/watchbill/api/openapi"
)

const (
	baseDelay     = time.Second
	maxDelay      = 2 * time.Minute
	maxRetryAfter = 5 * time.Minute // a longer Retry-After is taken for a mistake
)

// refusal is an answer of the server that is an error.
type refusal struct {
	*openapi.Problem
	retryAfter time.Duration
}

func (r *refusal) Unwrap() error { return r.Problem }

func isStatus(err error, statuses ...int) bool {
	var r *refusal
	return errors.As(err, &r) && slices.Contains(statuses, int(r.Status))
}

// isFinal says whether asking again cannot help: the server itself, not something on the way to it, said no.
func isFinal(err error) bool {
	var r *refusal
	if !errors.As(err, &r) || r.Status >= http.StatusInternalServerError {
		return false
	}
	switch r.Status {
	case http.StatusTooManyRequests, http.StatusRequestTimeout:
		return false
	case http.StatusUnauthorized: // a token may be replaced, and a database restored that did not have it for a while
		return false
	}
	// What is not due was offered by a replica whose clock is ahead.
	return r.Code != openapi.CodeUnknown && r.Code != "not_due"
}

// delay is how long to wait after so many failures before this one: exponential backoff with full jitter (AWS
// Architecture Blog, "Exponential Backoff And Jitter", 2015) up to the ceiling, on top of what the server asked for.
func (a *Agent) delay(failures int, ceiling time.Duration, err error) time.Duration {
	d := time.Duration(a.cfg.Jitter() * float64(min(ceiling, baseDelay<<min(failures, 7))))
	var r *refusal
	if errors.As(err, &r) {
		d += min(r.retryAfter, maxRetryAfter)
	}
	return d
}

// retryAfter reads the header in both its forms (RFC 9110, 10.2.3); it is zero where there is none or it makes no sense.
func retryAfter(h http.Header, now time.Time) time.Duration {
	value := h.Get("Retry-After")
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}
