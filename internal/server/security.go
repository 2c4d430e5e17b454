package server

import (
	"context"
	"encoding/hex"
	"strings"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/observe/logging"
	"github.com/watchbill/watchbill/internal/observe/metrics"
)

// event is an event for the security log: a kind, such as agent.enrolled, and fields that name its object.
type event struct {
	kind   string // empty for no event
	fields []zap.Field
}

// recorded is like typed, and records an event in the security log. describe is called after the work has succeeded,
// and so is committed.
func recorded[Req, Resp any](
	status int, read func(*exchange) (Req, error), do func(*Server, context.Context, Req) (Resp, error), describe func(Req, Resp) event,
) handler {
	return recordedWithin(answerWithin, status, read, do, describe)
}

// recordedWithin is like recorded with another deadline.
func recordedWithin[Req, Resp any](
	deadline time.Duration, status int, read func(*exchange) (Req, error), do func(*Server, context.Context, Req) (Resp, error),
	describe func(Req, Resp) event,
) handler {
	return func(s *Server, x *exchange) error {
		return typedWithin(deadline, status, read, func(s *Server, ctx context.Context, req Req) (Resp, error) {
			resp, err := do(s, ctx, req)
			if err == nil {
				s.record(x, describe(req, resp))
			}
			return resp, err
		})(s, x)
	}
}

// record logs an event caused by the exchange's caller. All events except administrators' changes are bounded, since
// traffic can cause any number of them.
func (s *Server) record(x *exchange, e event) {
	if e.kind == "" {
		return
	}
	for i, field := range e.fields {
		if field.Key == userFingerprint {
			e.fields[i] = zap.String(userFingerprint, s.fingerprint(field.String))
		}
	}
	s.security.Record(logging.SecurityEvent{
		Kind: e.kind, Actor: x.caller.actor(), Remote: s.proxies.Client(x.r), RequestID: x.requestID, Fields: e.fields,
		Bounded: !x.caller.admin || x.r.Method == "GET",
	})
}

// actor returns the caller as named in the security log. It contains nothing of a token except the beginning of its
// hash.
func (c caller) actor() logging.Actor {
	none := fleet.TokenHash{}
	fingerprint := func(hash fleet.TokenHash) string { return hex.EncodeToString(hash[:8]) }
	switch {
	case c.admin:
		return logging.Actor{Kind: "admin"}
	case c.agent.ID() != "":
		return logging.Actor{Kind: "agent", ID: c.agent.ID()}
	case c.account != nil:
		return logging.Actor{Kind: "service_account", ID: c.account.String()}
	case c.grant != nil:
		return logging.Actor{Kind: "enrollment", ID: c.grant.Fingerprint()}
	case c.ingest != none:
		return logging.Actor{Kind: "ingest", ID: fingerprint(c.ingest)}
	}
	return logging.Actor{Kind: "none"}
}

func agentEnrolled(_ enrollRequest, enrolled openapi.EnrolledAgent) event {
	return event{"agent.enrolled", []zap.Field{zap.String("agent_id", enrolled.ID)}}
}

func agentDeleted(id string, _ nothing) event {
	return event{"agent.deleted", []zap.Field{zap.String("agent_id", id)}}
}

func agentTokenRotated(id string, _ openapi.EnrolledAgent) event {
	return event{"agent.token_rotated", []zap.Field{zap.String("agent_id", id)}}
}

// deploymentCreated returns no event for a repeated request, which created nothing.
func deploymentCreated(_ orderRequest, created createdDeployments) event {
	if created.group == nil {
		return event{}
	}
	return event{"deployment.created", []zap.Field{
		zap.Stringer("group_id", created.group.ID), zap.Int("deployments", len(created.group.Deployments)),
	}}
}

func deploymentCancelled(id uuid.UUID, _ openapi.Deployment) event {
	return event{"deployment.cancelled", []zap.Field{zap.Stringer("deployment_id", id)}}
}

func groupCancelled(id uuid.UUID, group openapi.DeploymentGroup) event {
	return event{"deployment_group.cancelled", []zap.Field{
		zap.Stringer("group_id", id), zap.Int64("cancelled", int64(group.Counts.Cancelled)),
	}}
}

// userFingerprint is the event field for a user. record replaces the user's id by a fingerprint, so that the id does
// not remain in the log after the user is erased.
const userFingerprint = "user_fingerprint"

// fingerprint returns the name of a user in logs: the pseudonym, if users are stored under pseudonyms.
func (s *Server) fingerprint(userID string) string {
	if s.pseudonym != nil {
		return s.pseudonym(userID)
	}
	return logging.Fingerprint(userID)
}

// loggedPath returns the path of a request for the log, with a fingerprint in place of a user's id. If users are stored
// under pseudonyms, queries and unknown paths are redacted too, since they may contain ids.
func (s *Server) loggedPath(x *exchange) string {
	const user = "{user_id}"
	switch {
	case strings.Contains(x.pattern, user):
		return strings.Replace(x.pattern, user, s.fingerprint(x.param), 1)
	case s.pseudonym == nil:
		return x.r.RequestURI
	case x.pattern == metrics.UnmatchedRoute:
		return "[redacted]"
	}
	path, _, asked := strings.Cut(x.r.RequestURI, "?")
	if asked {
		path += "?[redacted]"
	}
	return path
}

func userErased(userID string, erased openapi.ErasedUser) event {
	return event{"user.erased", []zap.Field{
		zap.String(userFingerprint, userID), zap.Int64("executions", erased.Deleted.Executions),
	}}
}

func userDataRead(q executionQuery, _ openapi.UserActivityList) event {
	return event{"user_data.read", []zap.Field{zap.String(userFingerprint, q.userID)}}
}

func reportCreated(wanted newReport, _ content) event {
	if wanted.namespace == "" { // from an administrator
		return event{"report.created", nil}
	}
	return event{"report.created", []zap.Field{zap.String("namespace", wanted.namespace)}}
}
