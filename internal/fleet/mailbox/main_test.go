package mailbox_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/fleet/mailbox"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// run runs a mailbox over db until the test ends.
func run(t testing.TB, db mailbox.Source, change ...func(*mailbox.Options)) *mailbox.Mailbox {
	t.Helper()
	m, _ := runUntilStopped(t, db, change...)
	return m
}

func runUntilStopped(t testing.TB, db mailbox.Source, change ...func(*mailbox.Options)) (m *mailbox.Mailbox, stop func()) {
	t.Helper()
	opts := mailbox.Options{Source: db, Log: zap.NewNop(), Now: time.Now, PresenceInterval: 5 * time.Second}
	for _, c := range change {
		c(&opts)
	}
	m = mailbox.New(opts)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := m.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	}()
	stop = func() { cancel(); <-ended }
	t.Cleanup(stop)
	return m, stop
}

// pass advances the bubble's time and waits until all its goroutines block.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// handle returns the handle of an agent that the mailbox must know.
func handle(t *testing.T, m *mailbox.Mailbox, id string) mailbox.Agent {
	t.Helper()
	a, ok := m.Agent(id)
	if !ok {
		t.Fatalf("agent %s is not known", id)
	}
	return a
}

func view(t *testing.T, m *mailbox.Mailbox, a mailbox.Agent) mailbox.View {
	t.Helper()
	v, err := m.View(a)
	if err != nil {
		t.Fatalf("view of %s: %v", a.ID(), err)
	}
	return v
}

// wantView checks the mailbox's view of an agent. The tag is ignored if the view is not Fresh.
func wantView(t *testing.T, m *mailbox.Mailbox, id, tag string, fresh bool) {
	t.Helper()
	v := view(t, m, handle(t, m, id))
	if v.Fresh != fresh || fresh && v.Tag != tag {
		t.Errorf("view of %s: want %s, fresh %v; got %s, fresh %v", id, tag, fresh, v.Tag, v.Fresh)
	}
}

// poll handles a held poll as the server does: it returns once the tag differs from what the agent knows.
func poll(ctx context.Context, m *mailbox.Mailbox, db *database, a mailbox.Agent, known string) (string, error) {
	for {
		v, err := m.View(a)
		if err != nil {
			return "", err
		}
		if !v.Fresh || v.Tag != known {
			tag := db.tag(a.ID())
			if tag != known {
				return tag, nil
			}
			v.Fresh = v.Tag == tag
		}
		if err := m.Await(ctx, a, v); err != nil {
			return "", err
		}
	}
}

// async calls do in a new goroutine and sends its result on the channel.
func async(do func() error) <-chan error {
	result := make(chan error, 1)
	go func() { result <- do() }()
	return result
}

// pending reports whether an async call has not returned yet.
func pending(result <-chan error) bool { return len(result) == 0 }

var nothing = fleet.NothingWaiting
