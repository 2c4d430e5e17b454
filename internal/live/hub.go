// Package live notifies viewers of changes as the replica learns of them. Each change is published once, whatever the
// number of viewers, and no query runs for them. The package knows no HTTP.
package live

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"

	"github.com/go-json-experiment/json"

	"github.com/watchbill/watchbill/internal/fault"
)

// Errors of viewers.
var (
	// ErrFull is returned to a viewer if there are too many.
	ErrFull = &fault.Error{Kind: fault.Unavailable, Code: "too_many_viewers", Detail: "too many live streams are open; try again later"}
	// ErrSlow is returned to a viewer that has not read events before they were dropped.
	ErrSlow = errors.New("the viewer is too slow")
)

const (
	// MaxViewers is the default maximum number of viewers of a replica.
	MaxViewers = 1000

	kept      = 256      // events, for viewers that resume
	maxLastID = 64       // bytes
	maxTaken  = 64 << 10 // bytes of events after which a viewer writes them
)

// reset is the event for a viewer that missed events which are no longer kept: it has to read everything again.
const reset = "event: reset\ndata: {}\n\n"

// Hub keeps the last events and hands them to viewers. It is safe for concurrent use.
type Hub struct {
	prefix string // of ids; another replica or process has another one
	limit  int

	mu      sync.Mutex
	next    uint64        // number of the next event, from 1
	ring    [kept][]byte  // event n is at n modulo kept
	latest  []stateEvent  // of each state, in the order of their first events
	changed chan struct{} // closed and replaced after events were published
	closed  bool          // no more viewers
	viewers map[*Viewer]struct{}
}

// stateEvent is the last event of a state.
type stateEvent struct {
	name string
	data []byte // encoded
}

// NewHub returns a hub with a limit of viewers. It draws the prefix of ids from random.
func NewHub(limit int, random io.Reader) (*Hub, error) {
	var prefix [6]byte
	if _, err := io.ReadFull(random, prefix[:]); err != nil {
		return nil, fmt.Errorf("draw a prefix of event ids: %w", err)
	}
	return &Hub{
		prefix: hex.EncodeToString(prefix[:]), limit: limit, next: 1,
		changed: make(chan struct{}), viewers: map[*Viewer]struct{}{},
	}, nil
}

// Event is an event to publish.
type Event struct {
	Name string // of lower-case letters
	Data any    // encoded as JSON
	// State is set if the event contains the current state and not only a change. It is published only if it differs
	// from the last event of its name. New viewers get the last one.
	State bool
}

// Publish publishes events together.
func (h *Hub) Publish(events ...Event) error {
	encoded := make([][]byte, len(events))
	for i, e := range events {
		data, err := json.Marshal(e.Data, json.Deterministic(true))
		if err != nil {
			return fmt.Errorf("encode the event %s: %w", e.Name, err)
		}
		encoded[i] = data
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	before := h.next
	for i, e := range events {
		if e.State && !h.setLatest(e.Name, encoded[i]) {
			continue
		}
		h.ring[h.next%kept] = h.frame(h.next, e.Name, encoded[i])
		h.next++
	}
	if h.next != before {
		h.wake()
	}
	return nil
}

// setLatest reports whether a state differs from its last event. The caller must hold h.mu.
func (h *Hub) setLatest(name string, data []byte) (differs bool) {
	for i := range h.latest {
		if h.latest[i].name == name {
			differs = !bytes.Equal(h.latest[i].data, data)
			h.latest[i].data = data
			return differs
		}
	}
	h.latest = append(h.latest, stateEvent{name, data})
	return true
}

// frame returns an event as text/event-stream (HTML standard, section 9.2). JSON has no line breaks.
func (h *Hub) frame(number uint64, name string, data []byte) []byte {
	return fmt.Appendf(nil, "id: %s-%d\nevent: %s\ndata: %s\n\n", h.prefix, number, name, data)
}

// Wake wakes all viewers, for them to check whether they may go on.
func (h *Hub) Wake() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.wake()
}

// wake wakes all viewers. The caller must hold h.mu.
func (h *Hub) wake() {
	close(h.changed)
	h.changed = make(chan struct{})
}

// Viewers returns the number of viewers.
func (h *Hub) Viewers() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.viewers)
}

// Close ends all viewers with fault.ErrShuttingDown, and rejects new ones.
func (h *Hub) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.closed {
		h.closed = true
		h.wake()
	}
}

// Join returns a new viewer. lastID is the id of the last event that it received, or "". The caller must call Leave.
func (h *Hub) Join(lastID string) (*Viewer, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.closed:
		return nil, fault.ErrShuttingDown
	case len(h.viewers) >= h.limit:
		return nil, ErrFull
	}
	v := &Viewer{hub: h, next: h.next}
	if seen, ok := h.numberOf(lastID); ok {
		v.next = seen + 1
	} else {
		if lastID != "" {
			v.first = append(v.first, reset...)
		}
		for _, state := range h.latest {
			v.first = append(v.first, h.frame(h.next-1, state.name, state.data)...)
		}
	}
	h.viewers[v] = struct{}{}
	return v, nil
}

// numberOf returns the number of an event of this hub. ok is false if events after it are no longer kept. The caller
// must hold h.mu.
func (h *Hub) numberOf(id string) (number uint64, ok bool) {
	text, ok := strings.CutPrefix(id, h.prefix+"-")
	if !ok || len(id) > maxLastID {
		return 0, false
	}
	number, err := strconv.ParseUint(text, 10, 64)
	return number, err == nil && number < h.next && h.next-1-number <= kept
}

// Viewer reads the events of a hub. It is not safe for concurrent use.
type Viewer struct {
	hub   *Hub
	next  uint64
	first []byte // events to return first
}

// ready is closed: there is more to take.
var ready = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// Take appends events that the viewer has not yet taken to to. Once changed is closed there are more. It returns ErrSlow if events were dropped, and fault.ErrShuttingDown after Close.
func (v *Viewer) Take(to []byte) (events []byte, changed <-chan struct{}, err error) {
	h := v.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.closed:
		return to, nil, fault.ErrShuttingDown
	case h.next-v.next > kept:
		return to, nil, ErrSlow
	}
	to = append(to, v.first...)
	for v.first = nil; v.next < h.next; v.next++ {
		if len(to) >= maxTaken {
			return to, ready, nil
		}
		to = append(to, h.ring[v.next%kept]...)
	}
	return to, h.changed, nil
}

// Leave removes the viewer from its hub.
func (v *Viewer) Leave() {
	v.hub.mu.Lock()
	defer v.hub.mu.Unlock()
	delete(v.hub.viewers, v)
}
