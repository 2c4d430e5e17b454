package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/watchbill/watchbill/internal/fleet"
)

// recorder records what all clients saw and were sent.
type recorder struct {
	mu          sync.Mutex
	deployments map[string]*deploymentLog // by id of the deployment
	executions  map[string]bool           // by id; true once the API acknowledged that it is stored
	tries       map[string]kindOfTry      // requests by kind
	outages     []outage
	distinct    map[string]bool // the reasons of outages, to show each once
	inFlight    int             // requests with an unknown outcome
	unexplained []string        // responses that must not occur
}

// deploymentLog is what was seen of one deployment.
type deploymentLog struct {
	acked    time.Time               // when the API acknowledged it; zero if it did not
	finished bool                    // as far as is known
	claims   map[int]map[string]bool // the claims accepted by the server, by attempt
	events   []event
}

type kindOfTry struct{ made, failed int }

// outage is a failed request: broken, or with a response that indicates a server fault.
type outage struct {
	at     time.Time // when it ended
	kind   string
	reason string
}

const (
	maxOutages     = 200_000
	maxUnexplained = 50
)

func newRecorder() *recorder {
	return &recorder{
		deployments: map[string]*deploymentLog{}, executions: map[string]bool{}, tries: map[string]kindOfTry{}, distinct: map[string]bool{},
	}
}

// deploymentLog returns the log of a deployment. d.mu must be held.
func (d *recorder) deploymentLog(id string) *deploymentLog {
	s := d.deployments[id]
	if s == nil {
		s = &deploymentLog{claims: map[int]map[string]bool{}}
		d.deployments[id] = s
	}
	return s
}

// note counts a request. reason is empty if it succeeded.
func (d *recorder) note(kind, reason string, at time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	t := d.tries[kind]
	t.made++
	if reason != "" {
		t.failed++
		if len(d.outages) < maxOutages {
			d.outages = append(d.outages, outage{at, kind, reason})
		}
	}
	d.tries[kind] = t
}

// unexpected records a response that must not occur.
func (d *recorder) unexpected(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.unexplained) < maxUnexplained {
		d.unexplained = append(d.unexplained, fmt.Sprintf(format, args...))
	}
}

// addSending records that executions are being sent; stored records that the API acknowledged them.
func (d *recorder) addSending(ids ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, id := range ids {
		if !d.executions[id] {
			d.executions[id] = false
		}
	}
}

func (d *recorder) stored(ids ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, id := range ids {
		d.executions[id] = true
	}
}

// made records acknowledged deployments.
func (d *recorder) made(at time.Time, ids ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, id := range ids {
		if s := d.deploymentLog(id); s.acked.IsZero() {
			s.acked = at
		}
	}
}

// see records what a client saw of a deployment.
func (d *recorder) see(id string, asked, answered time.Time, status fleet.Status, attempt int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.deploymentLog(id)
	s.events = append(s.events, event{asked: asked, answered: answered, seen: &snapshot{status: status, attempt: attempt}})
	s.finished = s.finished || status.Finished()
}

// did records what a client did to a deployment. answered is zero if the outcome is unknown.
func (d *recorder) did(id string, e event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.deploymentLog(id)
	s.events = append(s.events, e)
	if !e.known() {
		d.inFlight++
		return
	}
	switch {
	case e.refused != "":
	case e.cancel:
		s.finished = true
	case e.report.Status == fleet.Running:
		if s.claims[e.report.Attempt] == nil {
			s.claims[e.report.Attempt] = map[string]bool{}
		}
		s.claims[e.report.Attempt][e.report.Claim] = true
	case e.report.Status == fleet.Succeeded || !e.report.Retryable:
		s.finished = true
	}
}

// look calls read while it holds the lock.
func (d *recorder) look(read func(*recorder)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	read(d)
}

// failures counts the failed requests of the given kinds, or of all kinds, between two times.
func (d *recorder) failures(from, to time.Time, kinds ...string) (n int) {
	d.look(func(d *recorder) {
		for _, o := range d.outages {
			if o.at.After(from) && o.at.Before(to) && (len(kinds) == 0 || slices.Contains(kinds, o.kind)) {
				n++
			}
		}
	})
	return n
}

// unfinished returns the acknowledged deployments that no client has seen finished.
func (d *recorder) unfinished() (ids []string) {
	d.look(func(d *recorder) {
		for id, s := range d.deployments {
			if !s.acked.IsZero() && !s.finished {
				ids = append(ids, id)
			}
		}
	})
	slices.Sort(ids)
	return ids
}

// doubleClaims counts runs that were given an attempt that another run has too.
func (d *recorder) doubleClaims() (n int) {
	d.look(func(d *recorder) {
		for _, s := range d.deployments {
			for _, claims := range s.claims {
				n += len(claims) - 1
			}
		}
	})
	return n
}

// eventually calls look until it returns true, and reports whether it did before ctx ended.
func eventually(ctx context.Context, every time.Duration, look func() bool) bool {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for !look() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return look()
		}
	}
	return true
}
