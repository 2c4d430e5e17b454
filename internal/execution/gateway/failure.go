package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"time"

	"github.com/watchbill/watchbill/internal/execution"
)

// failure is why a run failed, with a message for the client.
type failure struct {
	status     execution.Status
	code       string // stable, snake_case, part of the API
	message    string
	retryAfter time.Duration // the upstream's Retry-After; zero if there is none
}

func (f *failure) Error() string { return f.message }

func failed(code, format string, args ...any) *failure {
	return &failure{status: execution.Failure, code: code, message: fmt.Sprintf(format, args...)}
}

func timedOut(code, format string, args ...any) *failure {
	return &failure{status: execution.Timeout, code: code, message: fmt.Sprintf(format, args...)}
}

func malformed(format string, args ...any) *failure {
	return failed("upstream_malformed", format, args...)
}

var (
	errGone       = failed("client_gone", "client went away")
	errEndedEarly = failed("upstream_ended_early", "the upstream's response ended early")
	errNothing    = failed("upstream_ended_early", "the upstream's response was empty")
	errDefect     = failed("internal", "the run failed by a defect of the gateway; see its log")
)

// failureOf converts the error of a run. The cause of its context takes precedence over its consequences. Errors of net/http
// may contain parts of the response, and so secrets, which are removed.
func failureOf(ctx context.Context, err error, secrets []string) *failure {
	var known *failure
	if errors.As(err, &known) {
		return known
	}
	cause := err
	if ctx.Err() != nil {
		cause = context.Cause(ctx)
	}
	switch {
	case errors.As(cause, &known):
		return known
	case errors.Is(cause, context.DeadlineExceeded):
		return timedOut("timeout", "the run did not finish within its client's deadline")
	case errors.Is(cause, context.Canceled):
		return errGone
	case ctx.Err() != nil:
		return failed("shutting_down", "the run was stopped: %s", cause)
	case errors.Is(cause, io.ErrUnexpectedEOF), errors.Is(cause, io.EOF):
		return errEndedEarly
	case errors.Is(cause, errLongLine), errors.Is(cause, errLargeEvent):
		return malformed("the upstream's event stream is not one: %s", cause)
	}
	var broken *url.Error
	if errors.As(cause, &broken) {
		return failed("upstream_unreachable", "the upstream cannot be reached: %s", excerpt(broken.Err.Error(), secrets)) // without its URL
	}
	return failed("upstream_broken", "the upstream's response broke off: %s", excerpt(cause.Error(), secrets))
}
