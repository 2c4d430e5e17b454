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

// sendError is why a try failed, where there is more to say than that.
type sendError struct {
	err   error
	final bool          // to try again would not help
	wait  time.Duration // how long to wait first
}

func (f *sendError) Error() string { return f.err.Error() }
func (f *sendError) Unwrap() error { return f.err }

// final is a fault that another try would not mend.
func final(format string, args ...any) error {
	return &sendError{err: fmt.Errorf(format, args...), final: true}
}

// withoutURL is an error of net/http's without the URL, which may be a secret.
func withoutURL(err error) error {
	var request *url.Error
	if errors.As(err, &request) {
		return request.Err
	}
	return err
}

const (
	maxSentence = 400 // characters of an outcome's message
	maxQuote    = 200 // characters of what a server said
)

// sentence makes a text one that fits in a line of a table.
func sentence(s string) string { return text.FitRunes(reportjob.OneLine(s), maxSentence) }

// hidden is a text without the secrets in it, however they are written there.
func hidden(s string, secrets ...string) string {
	for _, secret := range secrets {
		if len(secret) < 4 {
			continue // it is in every text, and no secret
		}
		for _, written := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret)} {
			s = strings.ReplaceAll(s, written, "…")
		}
	}
	return s
}

// said quotes what a server said; nothing if it said nothing.
func said(body string, secrets ...string) string {
	s := text.FitRunes(reportjob.OneLine(hidden(body, secrets...)), maxQuote)
	if s == "" {
		return ""
	}
	return fmt.Sprintf(": %q", s)
}
