// Package problem turns errors into the problem documents of RFC 9457, which are the responses to failed requests.
package problem

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/fault"
	"github.com/watchbill/watchbill/internal/fleet/mailbox"
	"github.com/watchbill/watchbill/internal/report"
	"github.com/watchbill/watchbill/internal/text"
)

// The problems that several routes respond with.
var (
	ErrInternal = New(http.StatusInternalServerError, "internal", "", "internal error; see the server's log")

	ErrUnknownToken = New(http.StatusUnauthorized, "token_unknown", "", "the token is not known")
	ErrNoReport     = New(http.StatusNotFound, "report_not_found", "", "no such report")
)

// New returns an error that is its own response. field may be empty.
func New(status int, code, field, format string, args ...any) *openapi.Problem {
	return &openapi.Problem{
		Type: "about:blank", Title: http.StatusText(status), Status: int32(status),
		Code: code, Field: field, Detail: fmt.Sprintf(format, args...),
	}
}

// BadRequest is New with status 400.
func BadRequest(code, field, format string, args ...any) *openapi.Problem {
	return New(http.StatusBadRequest, code, field, format, args...)
}

// Of converts an error to its HTTP response. Nil means that the error is a defect of the server, whose text must
// not be shown to clients.
func Of(err error) *openapi.Problem {
	var (
		known   *openapi.Problem
		failure *fault.Error
		faults  report.FieldErrors
	)
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &failure) && statuses[failure.Kind] != 0:
		return New(statuses[failure.Kind], failure.Code, failure.Field, "%s", failure.Detail)
	case errors.As(err, &faults):
		return ofFields(faults)
	case errors.Is(err, mailbox.ErrUnknownToken):
		return ErrUnknownToken
	case errors.Is(err, report.ErrNotFound):
		return ErrNoReport
	case errors.Is(err, context.DeadlineExceeded):
		return Of(fault.ErrNoResponse)
	case errors.Is(err, mailbox.ErrDraining):
		return Of(fault.ErrShuttingDown)
	default:
		return nil
	}
}

// statuses maps the domain's kinds of fault to HTTP statuses.
var statuses = map[fault.Kind]int{
	fault.Invalid:     http.StatusBadRequest,
	fault.Forbidden:   http.StatusForbidden,
	fault.NotFound:    http.StatusNotFound,
	fault.Conflict:    http.StatusConflict,
	fault.TooLarge:    http.StatusRequestEntityTooLarge,
	fault.Unavailable: http.StatusServiceUnavailable,
	fault.Limited:     http.StatusTooManyRequests,
}

// ofFields returns a problem that lists all faults. Its field and detail are those of the first.
func ofFields(faults report.FieldErrors) *openapi.Problem {
	if len(faults) == 0 {
		return nil
	}
	p := BadRequest("invalid_field", Clip(faults[0].Field), "%s", Clip(faults[0].Problem))
	if len(faults) > 1 {
		for _, problem := range faults {
			p.Errors = append(p.Errors, openapi.FieldError{Field: Clip(problem.Field), Detail: Clip(problem.Problem)})
		}
	}
	return p
}

// Clip shortens text that a client sent, for use in a message.
func Clip(s string) string {
	return text.Clip(strings.ToValidUTF8(s, "\ufffd"), 200)
}
