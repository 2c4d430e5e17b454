package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/watchbill/watchbill/internal/fleet"
)

// diary keeps what everybody saw and was told.
type recorder struct {
	mu          sync.Mutex
	stories     map[string]*story    // of deployments, by id
	executions  map[string]bool      // by id: brought by us; true once the API said that it is stored
	tries       map[string]kindOfTry // requests by what they are
	outages     []outage
	distinct    map[string]bool // what outages were of, to show each once
	inFlight    int             // requests that may or may not have come to something
	unexplained []string        // answers that nobody should get
}

// story is what was seen of one deployment.
type story struct {
	acked    time.Time               // when the API said that it was made; zero: it did not
	finished bool                    // as far as was seen
	claims   map[int]map[string]bool // told that they have the attempt, by attempt and claim
	events   []event
}

type kindOfTry struct{ made, failed int }

// outage is a request that failed: broken, or answered as only a server with troubles does.
type outage struct {
	at     time.Time // it was over
	kind   string
	reason string
}

const (
	maxOutages     = 200_000
	maxUnexplained = 50
)

func newRecorder() *recorder {
	return &recorder{
		stories: map[string]*story{}, executions: map[string]bool{}, tries: map[string]kindOfTry{}, distinct: map[string]bool{},
	}
}

// story of a deployment; d.mu is held.
func (d *recorder) story(id string) *story {
	s := d.stories[id]
	if s == nil {
		s = &story{claims: map[int]map[string]bool{}}
		d.stories[id] = s
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

// strange keeps an answer that should not be.
func (d *recorder) strange(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.unexplained) < maxUnexplained {
		d.unexplained = append(d.unexplained, fmt.Sprintf(format, args...))
	}
}

// brought notes that executions are on their way; stored, that the API said they are there.
func (d *recorder) brought(ids ...string) {
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

// made notes deployments that the API said were made.
func (d *recorder) made(at time.Time, ids ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, id := range ids {
		if s := d.story(id); s.acked.IsZero() {
			s.acked = at
		}
	}
}

// saw notes what somebody saw of a deployment.
func (d *recorder) saw(id string, asked, answered time.Time, status fleet.Status, attempt int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.story(id)
	s.events = append(s.events, event{asked: asked, answered: answered, saw: &sight{status: status, attempt: attempt}})
	s.finished = s.finished || status.Finished()
}

// did notes what somebody did to a deployment. answered is zero where it is not known what came of it.
func (d *recorder) did(id string, e event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.story(id)
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

// look reads the diary.
func (d *recorder) look(read func(*recorder)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	read(d)
}

// failures counts requests of the kinds that failed between two times; of all kinds where none is named.
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

// unfinished are the deployments that the API said were made, and that nobody has seen finished.
func (d *recorder) unfinished() (ids []string) {
	d.look(func(d *recorder) {
		for id, s := range d.stories {
			if !s.acked.IsZero() && !s.finished {
				ids = append(ids, id)
			}
		}
	})
	slices.Sort(ids)
	return ids
}

// doubleClaims counts runs that were told to have an attempt which another has too.
func (d *recorder) doubleClaims() (n int) {
	d.look(func(d *recorder) {
		for _, s := range d.stories {
			for _, claims := range s.claims {
				n += len(claims) - 1
			}
		}
	})
	return n
}

// eventually looks until it is true, and says whether it became so before ctx ended.
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
