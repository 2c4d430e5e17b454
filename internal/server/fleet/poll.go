package fleet

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/fleet/mailbox"
	"github.com/watchbill/watchbill/internal/observe/metrics"
	"github.com/watchbill/watchbill/internal/server/endpoint"
	"github.com/watchbill/watchbill/internal/server/problem"
	"github.com/watchbill/watchbill/internal/text"
)

// MaxWait is the longest ?wait= that is accepted. Options.MaxPollWait may limit the time further.
const MaxWait = 60 * time.Second

// poll serves GET /api/deployments/pending/{agent_id}. Nearly all requests are polls, and nearly all polls find
// nothing. Such a poll costs a look-up in memory: no query, no timer, no goroutine.
func (a *API) poll(x *endpoint.Exchange) error {
	agent, err := agentInPath(x, a.Mailbox)
	if err != nil {
		return err
	}
	interval := a.Mailbox.Interval(agent)
	a.hintInterval(x, interval)
	wait, err := readWait(x)
	if err != nil {
		return err
	}
	if !x.Caller.Admin {
		a.Mailbox.MarkSeen(agent, x.Start)
	}

	found, err := a.lookFor(x, agent, wait)
	if err != nil {
		return err
	}
	x.Idle = found.body == nil || found.known
	if x.Held > 0 {
		a.Recorder.HeldPoll(x.Held, interval, !x.Idle)
	}
	x.TagHeader[0] = found.tag
	x.Header()["Etag"] = x.TagHeader[:]
	if found.known {
		x.WriteHeader(http.StatusNotModified)
		return nil
	}
	response := endpoint.Content{Status: http.StatusOK, MediaType: "application/json", Body: found.body}
	if found.body == nil {
		response.Body = nothingPending(agent.ID(), interval)
	}
	return response.Send(x)
}

// nothingPending encodes the response to a poll that finds nothing, without the JSON encoder. Agent ids need no
// escaping.
func nothingPending(agentID string, interval time.Duration) []byte {
	body := make([]byte, 0, 96+len(agentID))
	body = append(body, `{"agent_id":"`...)
	body = append(body, agentID...)
	body = append(body, `","deployments":[],"poll_interval_seconds":`...)
	body = strconv.AppendInt(body, int64(interval.Round(time.Second)/time.Second), 10)
	return append(body, '}')
}

// pending is the result of a poll.
type pending struct {
	tag   string
	known bool   // the client has it, according to its If-None-Match
	body  []byte // the response; nil if nothing is pending
}

// lookFor returns the agent's pending deployments. It holds the poll for up to wait until there is something new. It
// queries the database only if the mailbox's view is not fresh or has something that the client lacks.
func (a *API) lookFor(x *endpoint.Exchange, agent mailbox.Agent, wait time.Duration) (pending, error) {
	held := a.startHold(x, wait)
	defer held.end()
	for {
		view, err := a.Mailbox.View(agent)
		if errors.Is(err, mailbox.ErrUnknownToken) && x.Caller.Admin {
			if agent, err = agentInPath(x, a.Mailbox); err == nil { // its token was rotated
				continue
			}
		}
		if err != nil {
			return pending{}, err
		}
		p := pending{tag: view.Tag, known: x.Knows(view.Tag)}
		if !view.Fresh || !p.known && view.Tag != fleet.NothingWaiting {
			if view.Stale {
				return pending{}, mailbox.ErrStale
			}
			read, err := a.reads.pending(x.Request.Context(), agent, view.Revision(agent), a.Mailbox.Interval(agent))
			if err != nil {
				return pending{}, err
			}
			p = pending{tag: read.tag, known: x.Knows(read.tag), body: read.body}
			if p.known {
				p.body = nil // free the memory: the poll may be held for long
			}
			view.Fresh = view.Tag == p.tag // otherwise the next sweep may bring the view's tag back
		}
		if news := !p.known && (p.body != nil || asksConditionally(x)); news {
			return p, nil
		}
		if again, err := held.await(agent, view); err != nil || !again {
			return p, err
		}
	}
}

// hold limits the time that a poll is held. A poll that is not held costs nothing.
type hold struct {
	a      *API
	x      *endpoint.Exchange
	ctx    context.Context // nil if the poll is not held
	cancel context.CancelFunc
}

func (a *API) startHold(x *endpoint.Exchange, wait time.Duration) hold {
	h := hold{a: a, x: x}
	if wait > 0 {
		wait = fleet.HoldTime(wait, a.MaxPollWait, a.Jitter())
	}
	if wait <= 0 {
		return h
	}
	if err := x.ExtendDeadlines(wait); err != nil {
		return h // the server's timeouts would close the connection first: respond at once
	}
	h.ctx, h.cancel = context.WithTimeout(x.Request.Context(), wait)
	return h
}

// await holds the poll until the agent's view may differ from the given one. It returns false if the poll must return
// what it has: its time is up, or the replica is shutting down. It fails if the client is gone.
func (h hold) await(agent mailbox.Agent, view mailbox.View) (again bool, err error) {
	if h.ctx == nil {
		return false, nil
	}
	start := h.a.Now()
	err = h.a.Mailbox.Await(h.ctx, agent, view)
	h.x.Hold(h.a.Now().Sub(start))
	return err == nil, h.x.Request.Context().Err()
}

func (h hold) end() {
	if h.cancel != nil {
		h.cancel()
	}
}

// readWait reads ?wait=, a duration such as 30s.
func readWait(x *endpoint.Exchange) (time.Duration, error) {
	q := x.Query()
	written, given := q.Text("wait")
	if err := q.Done(); err != nil || !given {
		return 0, err
	}
	wait, err := time.ParseDuration(written)
	if err != nil || wait < 0 || wait > MaxWait {
		return 0, problem.BadRequest("invalid_parameter", "wait", "must be a duration from 0s to %s, such as 30s", text.Duration(MaxWait))
	}
	return wait, nil
}

// hintInterval sets the header with the time until the next poll, in seconds, with jitter so that agents drift apart.
func (a *API) hintInterval(x *endpoint.Exchange, interval time.Duration) {
	hint := fleet.Jitter(interval, a.Jitter()).Seconds()
	x.IntervalHeader[0] = strconv.FormatFloat(hint, 'f', 3, 64)
	x.Header()["Watchbill-Poll-Interval"] = x.IntervalHeader[:]
}

func asksConditionally(x *endpoint.Exchange) bool {
	return len(x.Request.Header["If-None-Match"]) > 0
}

func pendingResponse(agentID string, deployments []fleet.Deployment, interval time.Duration) openapi.PendingDeployments {
	response := openapi.PendingDeployments{
		AgentID:             agentID,
		Deployments:         make([]openapi.PendingDeployment, len(deployments)),
		PollIntervalSeconds: openapi.PollInterval(interval.Round(time.Second) / time.Second),
	}
	for i, d := range deployments {
		response.Deployments[i] = openapi.PendingDeployment{
			ID: d.ID.String(), Name: d.Name, Spec: d.Spec, Attempt: int32(d.Attempt), CreatedAt: d.CreatedAt,
			LeaseSeconds: openapi.LeaseSeconds(d.Lease / time.Second),
		}
	}
	return response
}

// RecordPoll counts the outcome of a known caller's poll. Polls that were malformed, or whose client went away, are not
// counted: they are not the service's doing.
func (a *API) RecordPoll(x *endpoint.Exchange, status int) {
	switch {
	case status == http.StatusNotModified:
		a.Recorder.Poll(metrics.PollNotModified)
	case status == http.StatusOK && x.Idle:
		a.Recorder.Poll(metrics.PollEmpty)
	case status == http.StatusOK:
		a.Recorder.Poll(metrics.PollDelivered)
	case status >= http.StatusInternalServerError:
		a.Recorder.Poll(metrics.PollUnavailable)
	case status == http.StatusForbidden, status == http.StatusNotFound:
		a.Recorder.Poll(metrics.PollUnauthorized)
	}
}

var errNotYours = problem.New(http.StatusForbidden, "forbidden", "", "this is another agent's")

// agentInPath returns the agent named in the path if the caller may access it: an agent only itself, an
// admin any agent.
func agentInPath(x *endpoint.Exchange, box *mailbox.Mailbox) (mailbox.Agent, error) {
	id, err := x.AgentID()
	if err != nil {
		return mailbox.Agent{}, err
	}
	if !x.Caller.Admin {
		if x.Caller.Agent.ID() != id {
			return mailbox.Agent{}, errNotYours
		}
		return x.Caller.Agent, nil
	}
	agent, ok := box.Agent(id)
	if !ok {
		return mailbox.Agent{}, fleet.ErrAgentNotFound
	}
	return agent, nil
}
