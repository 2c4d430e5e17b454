package mailbox_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/watchbill/watchbill/internal/fault"
	"github.com/watchbill/watchbill/internal/fleet/mailbox"
)

// step is one event of the database or the replica.
type step struct {
	Kind  string
	Agent string
	Here  bool          // whether the write is through this replica
	Span  time.Duration // until a deployment is due; for other steps, the time that passes afterwards
	Row   int           // row after which sweeps fail
}

var kinds = []string{
	"create", "create", "create", "claim", "claim", "rotate", "delete", "enrol", // listed by frequency
	"hint", "pass", "pass", "hold", "release", "release", "fail", "heal", "heal", "restart", "failover", "restore",
}

var steps = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
	return step{
		Kind:  rapid.SampledFrom(kinds).Draw(t, "kind"),
		Agent: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "agent"),
		Here:  rapid.Bool().Draw(t, "here"),
		Span: rapid.SampledFrom([]time.Duration{
			0, 0, time.Millisecond, 3 * time.Millisecond, 90 * time.Millisecond, 700 * time.Millisecond, 3 * time.Second,
		}).Draw(t, "span"),
		Row: rapid.IntRange(0, 6).Draw(t, "row"),
	}
}), 1, 80)

// TestModel runs random histories of the database, with sweeps that fail, hang and succeed. After each step it checks that
// Fresh views are no older than the start of the newest applied sweep and this replica's own writes, and finally that the
// mailbox knows everything.
func TestModel(t *testing.T) {
	for range 10 { // a hundred histories each, unless -rapid.checks is set
		rapid.Check(t, func(rt *rapid.T) {
			history := steps.Draw(rt, "steps") // a draw must not panic inside the bubble
			var problem error
			synctest.Test(t, func(t *testing.T) { problem = newModel(t).play(history) })
			if problem != nil {
				rt.Fatal(problem)
			}
		})
	}
}

type model struct {
	t       *testing.T
	db      *database
	m       *mailbox.Mailbox
	written map[string]uint64 // the commit of the newest write through this replica
	revoked []string          // revoked tokens
	release func()
	polls   map[string]*heldPoll
}

// heldPoll repeats an agent's held poll: it receives the pending deployments when they differ from those it knows.
type heldPoll struct {
	stop  context.CancelFunc
	known string
	ended chan error
}

func newModel(t *testing.T) *model {
	db := newDatabase("a", "b")
	return &model{
		t: t, db: db, written: map[string]uint64{}, release: func() {}, polls: map[string]*heldPoll{},
		m: run(t, db, func(o *mailbox.Options) { o.StaleGrace = time.Hour }),
	}
}

func (x *model) play(history []step) error {
	pass(time.Millisecond)
	defer func() {
		x.release()
		for _, p := range x.polls {
			p.stop()
		}
	}()
	for i, s := range history {
		x.do(s)
		synctest.Wait()
		if err := x.check(); err != nil {
			return fmt.Errorf("step %d, %+v: %w", i, s, err)
		}
	}
	x.release()
	x.db.heal()
	pass(15 * time.Second)
	return x.settled()
}

func (x *model) do(s step) {
	switch s.Kind {
	case "pass":
		time.Sleep(10 * time.Millisecond)
	case "hint":
		x.m.Kick()
	case "hold":
		x.release()
		x.release = x.db.hold()
	case "release":
		x.release()
	case "fail":
		x.db.set(func(d *database) { d.fault, d.faultRow = errDatabase, s.Row })
	case "heal":
		x.db.heal()
	case "restart":
		x.db.restart()
	case "restore":
		for _, id := range x.db.ids() {
			x.revoked = append(x.revoked, x.db.token(id))
		}
		x.db.restore(s.Agent, "b")
	case "failover": // to another server, and back at the next failover
		x.db.set(func(d *database) { d.server = -d.server })
	default:
		x.write(s)
	}
	if s.Kind != "create" {
		time.Sleep(s.Span)
	}
}

func (x *model) write(s step) {
	enrolled := slices.Contains(x.db.ids(), s.Agent)
	if enrolled != (s.Kind != "enrol") {
		return
	}
	switch s.Kind {
	case "create":
		x.db.create(s.Agent, s.Span)
	case "claim":
		x.db.claim(s.Agent)
	case "rotate":
		x.revoked = append(x.revoked, x.db.token(s.Agent))
		x.db.rotate(s.Agent)
	case "delete":
		x.revoked = append(x.revoked, x.db.token(s.Agent))
		x.db.delete(s.Agent)
	case "enrol":
		x.db.enrol(s.Agent)
	}
	if s.Here {
		x.m.Changed(s.Agent)
		x.written[s.Agent] = x.db.commits
	}
}

func (x *model) check() error {
	for _, id := range x.db.ids() {
		a, known := x.m.Agent(id)
		if !known {
			continue
		}
		v, err := x.m.View(a)
		switch {
		case errors.Is(err, fault.ErrUnavailable) && !x.m.Health().Filled:
			continue
		case err != nil:
			return fmt.Errorf("view of %s: %w", id, err)
		}
		x.hold(a)
		if !v.Fresh {
			continue
		}
		if x.db.applied.snapshot < x.written[id] {
			return fmt.Errorf("view of %s is fresh, but the newest applied sweep missed a write made here", id)
		}
		if tags := x.db.tagsSince(id, x.db.applied); !slices.Contains(tags, v.Tag) {
			return fmt.Errorf("view of %s: want one of %v, got %s", id, tags, v.Tag)
		}
	}
	return nil
}

// hold keeps one poll of an agent held.
func (x *model) hold(a mailbox.Agent) {
	if p := x.polls[a.ID()]; p != nil {
		if len(p.ended) == 0 {
			return
		}
		p.stop() // it has returned, since its token was revoked
	}
	ctx, stop := context.WithCancel(context.Background())
	p := &heldPoll{stop: stop, known: nothing, ended: make(chan error, 1)}
	x.polls[a.ID()] = p
	go func() {
		for {
			tag, err := poll(ctx, x.m, x.db, a, p.known)
			if err != nil {
				p.ended <- err
				return
			}
			p.known = tag
		}
	}()
}

// settled checks that the mailbox has exactly the content of the database.
func (x *model) settled() error {
	ids := x.db.ids()
	if got := x.m.Health(); got.Agents != len(ids) || !got.Filled || got.Stale {
		return fmt.Errorf("in the end: want %d agents seen clearly, got %+v", len(ids), got)
	}
	for _, id := range ids {
		a, err := x.m.Authenticate(x.t.Context(), x.db.token(id))
		if err != nil || a.ID() != id {
			return fmt.Errorf("in the end: token of %s: %w", id, err)
		}
		v, err := x.m.View(a)
		if want := x.db.tag(id); err != nil || !v.Fresh || v.Tag != want {
			return fmt.Errorf("in the end: view of %s: want %s, got %+v, %w", id, want, v, err)
		}
		if p := x.polls[id]; p != nil && len(p.ended) == 0 && p.known != v.Tag {
			return fmt.Errorf("in the end: a held poll of %s knows %s and missed %s", id, p.known, v.Tag)
		}
	}
	for _, token := range x.revoked {
		if _, err := x.m.Authenticate(x.t.Context(), token); !errors.Is(err, mailbox.ErrUnknownToken) {
			return fmt.Errorf("in the end: a revoked token: want ErrUnknownToken, got %w", err)
		}
	}
	return nil
}
