package endpoint

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/watchbill/watchbill/internal/observe/logging"
)

// Event is an event for the security log: a kind, such as agent.enrolled, and fields that name its object.
type Event struct {
	Kind   string // empty for no event
	Fields []zap.Field
}

// NewEvent returns an event.
func NewEvent(kind string, fields ...zap.Field) Event { return Event{kind, fields} }

// Recorded is like Typed, and records an event in the security log. describe is called after the work has succeeded,
// and so is committed.
func Recorded[Req, Resp any](
	status int, read func(*Exchange) (Req, error), do func(context.Context, Req) (Resp, error), describe func(Req, Resp) Event,
) Handler {
	return RecordedWithin(ResponseTimeout, status, read, do, describe)
}

// RecordedWithin is like Recorded with another deadline.
func RecordedWithin[Req, Resp any](
	deadline time.Duration, status int, read func(*Exchange) (Req, error), do func(context.Context, Req) (Resp, error),
	describe func(Req, Resp) Event,
) Handler {
	return func(x *Exchange) error {
		return TypedWithin(deadline, status, read, func(ctx context.Context, req Req) (Resp, error) {
			resp, err := do(ctx, req)
			if err == nil {
				x.Record(describe(req, resp))
			}
			return resp, err
		})(x)
	}
}

// Record logs an event caused by the exchange's caller. All events except administrators' changes are bounded, since
// traffic can cause any number of them.
func (x *Exchange) Record(e Event) {
	if e.Kind == "" {
		return
	}
	for i, field := range e.Fields {
		if field.Key == UserFingerprint {
			e.Fields[i] = zap.String(UserFingerprint, x.Shared.Fingerprint(field.String))
		}
	}
	x.Shared.Security.Record(logging.SecurityEvent{
		Kind: e.Kind, Actor: x.Caller.actor(), Remote: x.Shared.Address(x.Request), RequestID: x.RequestID, Fields: e.Fields,
		Bounded: !x.Caller.Admin || x.Request.Method == "GET",
	})
}

// UserFingerprint is the event field for a user. Record replaces the user's id by a fingerprint, so that the id does
// not remain in the log after the user is erased.
const UserFingerprint = "user_fingerprint"

// Fingerprint returns the name of a user in logs: the pseudonym, if users are stored under pseudonyms.
func (s *Shared) Fingerprint(userID string) string {
	if s.Pseudonym != nil {
		return s.Pseudonym(userID)
	}
	return logging.Fingerprint(userID)
}
