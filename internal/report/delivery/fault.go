package delivery

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	reportjob "github.com/watchbill/watchbill/internal/report/job"
	"github.com/watchbill/watchbill/internal/text"
)

// sendError is the error of an attempt with instructions for the retry.
type sendError struct {
	err   error
	final bool          // a retry would not help
	wait  time.Duration // minimum time before the retry
}

func (f *sendError) Error() string { return f.err.Error() }
func (f *sendError) Unwrap() error { return f.err }

// final returns an error that a retry would not fix.
func final(format string, args ...any) error {
	return &sendError{err: fmt.Errorf(format, args...), final: true}
}

// withoutURL returns an error of net/http without the URL, which may be a secret.
func withoutURL(err error) error {
	var request *url.Error
	if errors.As(err, &request) {
		return request.Err
	}
	return err
}

const (
	maxSentence = 400 // characters of an outcome's message
	maxQuote    = 200 // characters of a quoted response
)

// sentence returns the text on one line, cut to maxSentence characters.
func sentence(s string) string { return text.FitRunes(reportjob.OneLine(s), maxSentence) }

// hidden returns a text with the secrets removed, in any encoding.
func hidden(s string, secrets ...string) string {
	for _, secret := range secrets {
		if len(secret) < 4 {
			continue // too short to be a secret
		}
		for _, written := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret)} {
			s = strings.ReplaceAll(s, written, "…")
		}
	}
	return s
}

// quoteOf returns a quotation of a response, or "" if it is empty.
func quoteOf(body string, secrets ...string) string {
	s := text.FitRunes(reportjob.OneLine(hidden(body, secrets...)), maxQuote)
	if s == "" {
		return ""
	}
	return fmt.Sprintf(": %q", s)
}
