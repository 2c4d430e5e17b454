package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/text"
)

const (
	maxRefusal = 64 << 10 // bytes of an error response

	exitInterrupted = 130 // as in shells after Ctrl-C: 128 + SIGINT
)

// errInterrupted is returned when a signal interrupted the command. It has no message.
var errInterrupted error = &exitError{code: exitInterrupted}

// unreachable is returned for a request that got no response or an incomplete one.
type unreachable struct {
	server  string
	timeout time.Duration
	err     error
}

func (u *unreachable) Unwrap() error { return u.err }

func (u *unreachable) Error() string {
	var (
		name        *net.DNSError
		certificate *tls.CertificateVerificationError
		network     net.Error
		request     *url.Error
	)
	why := u.err.Error()
	if errors.As(u.err, &request) {
		why = request.Err.Error()
	}
	switch {
	case errors.Is(u.err, syscall.ECONNREFUSED):
		why = "connection refused; start the server there, or name another with --server or WATCHBILL_SERVER"
	case errors.As(u.err, &name):
		why = fmt.Sprintf("cannot look up %s; check --server", name.Name)
	case errors.As(u.err, &certificate):
		why = fmt.Sprintf("%v; name the authority to trust with --ca-file", certificate.Err)
	case errors.Is(u.err, http.ErrSchemeMismatch):
		why = "the server speaks http, not https; check --server"
	case errors.As(u.err, &network) && network.Timeout():
		why = fmt.Sprintf("no response within %s; --timeout changes that", text.Duration(u.timeout))
	case errors.Is(u.err, io.EOF), errors.Is(u.err, io.ErrUnexpectedEOF):
		why = "the connection was closed before the end of the response"
	}
	return fmt.Sprintf("cannot reach %s: %s", u.server, text.OneLine(why))
}

func (u *unreachable) temporary() bool {
	var certificate *tls.CertificateVerificationError
	return !errors.As(u.err, &certificate) && !errors.Is(u.err, http.ErrSchemeMismatch)
}

// refusal is returned for an error response.
type refusal struct {
	problem     *openapi.Problem
	server      string
	tokenKind   string // such as "admin token"
	tokenSource string
	retryAfter  time.Duration // zero if not given
	text        string        // of a response that is not a problem document
}

func (e *exchange) refused(resp *http.Response) error {
	content, err := readAll(resp.Body, "the response", maxRefusal)
	if errors.Is(err, errInterrupted) {
		return err
	}
	if resp.StatusCode < http.StatusBadRequest {
		return fmt.Errorf("%s redirects to %[3]s (%[2]s); give that as --server", e.server, resp.Status, text.OneLine(resp.Header.Get("Location")))
	}
	r := &refusal{server: e.server, tokenKind: e.tokenKind, tokenSource: e.tokenSource}
	errors.As(openapi.ProblemOf(resp, content), &r.problem)
	if mediaType := resp.Header.Get("Content-Type"); r.problem.Code == openapi.CodeUnknown && strings.HasPrefix(mediaType, "text/plain") {
		r.text, _, _ = strings.Cut(strings.TrimSpace(string(content)), "\n")
	}
	if seconds, err := strconv.ParseUint(resp.Header.Get("Retry-After"), 10, 31); err == nil {
		r.retryAfter = time.Duration(seconds) * time.Second
	}
	return r
}

// Error returns a line for each fault that the server named, and advice.
func (r *refusal) Error() string {
	p := r.problem
	if p.Code == openapi.CodeUnknown {
		s := fmt.Sprintf("%s responded with %d %s, but it is not a Watchbill server", r.server, p.Status, p.Title)
		if r.text != "" {
			s += ": " + strings.TrimSuffix(text.OneLine(r.text), ".")
		}
		return s + "; check --server"
	}
	faults := p.Errors
	if len(faults) == 0 {
		faults = []openapi.FieldError{{Field: p.Field, Detail: p.Detail}}
	}
	lines := make([]string, len(faults))
	for i, fault := range faults {
		lines[i] = fmt.Sprintf("%d %s: ", p.Status, text.OneLine(p.Code))
		if fault.Field != "" {
			lines[i] += text.OneLine(fault.Field) + ": "
		}
		lines[i] += text.OneLine(fault.Detail)
	}
	s := strings.Join(lines, "\n")
	switch {
	case faults[0].Field == "" && (p.Status == http.StatusUnauthorized || p.Status == http.StatusForbidden):
		if r.tokenKind != adminToken && p.Status == http.StatusForbidden { // a valid token may lack the permission
			return fmt.Sprintf("%s; check the %s of %s", s, r.tokenKind, r.tokenSource)
		}
		s = fmt.Sprintf("%s rejected; check %s (%s)", r.tokenKind, r.tokenSource, s)
	case r.retryAfter > 0:
		s += fmt.Sprintf("; try again in %s", text.Duration(r.retryAfter))
	}
	return s
}

func (r *refusal) temporary() bool {
	switch r.problem.Status {
	case http.StatusRequestTimeout, http.StatusTooManyRequests,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	default:
		return false
	}
}
