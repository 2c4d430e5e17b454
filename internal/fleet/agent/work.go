package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/watchbill/watchbill/api/openapi"
)

const (
	minLease = 5 * time.Second
	maxLease = 24 * time.Hour
	maxID    = 128 // length of an agent's or deployment's id
)

// isID reports whether s is an id, which is safe in paths and environments: [A-Za-z0-9][A-Za-z0-9._-]*.
func isID(s string) bool {
	for i, r := range []byte(s) {
		alphanumeric := r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z'
		if !alphanumeric && (i == 0 || r != '.' && r != '_' && r != '-') {
			return false
		}
	}
	return s != "" && len(s) <= maxID
}

// Work is one attempt at a deployment, as offered by the server.
type Work struct {
	openapi.PendingDeployment
	// JSON is the whole offer as received, with fields that this version does not know.
	JSON json.RawMessage
}

// UnmarshalJSON decodes the offer and keeps the document in JSON.
func (w *Work) UnmarshalJSON(b []byte) error {
	if err := json.Unmarshal(b, &w.PendingDeployment); err != nil {
		return fmt.Errorf("decode a pending deployment: %w", err)
	}
	w.JSON = append(json.RawMessage(nil), b...)
	return nil
}

func (w *Work) check() error {
	if !isID(w.ID) || w.Attempt < 1 {
		return fmt.Errorf("deployment %.*q, attempt %d", maxID, w.ID, w.Attempt)
	}
	return nil
}

func (w *Work) key() attemptKey { return attemptKey{w.ID, w.Attempt} }

// lease returns how long a claim is valid, within the API's limits.
func (w *Work) lease() time.Duration {
	return min(max(time.Duration(w.LeaseSeconds)*time.Second, minLease), maxLease)
}

// Runner does the work of an attempt. It may be called for several attempts concurrently.
type Runner interface {
	// Run works until it has finished or ctx is done, and returns when nothing of the work is left running. Its writes to
	// out, which never block or fail, become the attempt's log. The error is nil if the work succeeded; wrap it with
	// [Permanent] if another attempt would not help.
	Run(ctx context.Context, work Work, out io.Writer) error
}

// RunnerFunc is a function as a Runner.
type RunnerFunc func(ctx context.Context, work Work, out io.Writer) error

// Run calls f.
func (f RunnerFunc) Run(ctx context.Context, work Work, out io.Writer) error {
	return f(ctx, work, out)
}

type permanentError struct{ error }

func (e permanentError) Unwrap() error { return e.error }

// Permanent marks a failure as one that another attempt would not fix.
func Permanent(err error) error { return permanentError{err} }

func isPermanent(err error) bool {
	var p permanentError
	return errors.As(err, &p)
}
