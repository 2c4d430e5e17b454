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
	maxRetryAfter = 5 * time.Minute // a longer Retry-After is ignored
)

// refusal is an error response.
type refusal struct {
	*openapi.Problem
	retryAfter time.Duration
}

func (r *refusal) Unwrap() error { return r.Problem }

func isStatus(err error, statuses ...int) bool {
	var r *refusal
	return errors.As(err, &r) && slices.Contains(statuses, int(r.Status))
}

// isFinal reports whether a retry cannot help: the server itself, not a proxy, rejected the request.
func isFinal(err error) bool {
	var r *refusal
	if !errors.As(err, &r) || r.Status >= http.StatusInternalServerError {
		return false
	}
	switch r.Status {
	case http.StatusTooManyRequests, http.StatusRequestTimeout:
		return false
	case http.StatusUnauthorized: // a token may be replaced, or missing for a while after a restore
		return false
	}
	// not_due: offered by a replica whose clock is ahead.
	return r.Code != openapi.CodeUnknown && r.Code != "not_due"
}

// delay returns how long to wait after the given number of earlier failures: exponential backoff with full jitter (AWS
// Architecture Blog, "Exponential Backoff And Jitter", 2015) up to the ceiling, plus the server's Retry-After.
func (a *Agent) delay(failures int, ceiling time.Duration, err error) time.Duration {
	d := time.Duration(a.cfg.Jitter() * float64(min(ceiling, baseDelay<<min(failures, 7))))
	var r *refusal
	if errors.As(err, &r) {
		d += min(r.retryAfter, maxRetryAfter)
	}
	return d
}

// retryAfter parses the header in both forms (RFC 9110, 10.2.3). It returns zero if it is missing or invalid.
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
