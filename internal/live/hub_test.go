package live_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/watchbill/watchbill/internal/fault"
	"github.com/watchbill/watchbill/internal/live"
)

func newHub(t *testing.T, limit int) *live.Hub {
	t.Helper()
	h, err := live.NewHub(limit, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func join(t *testing.T, h *live.Hub, lastID string) *live.Viewer {
	t.Helper()
	v, err := h.Join(lastID)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Leave)
	return v
}

func publish(t *testing.T, h *live.Hub, events ...live.Event) {
	t.Helper()
	if err := h.Publish(events...); err != nil {
		t.Fatal(err)
	}
}

var (
	frames = regexp.MustCompile(`(?m)^event: (.*)\ndata: (.*)\n\n`)
	ids    = regexp.MustCompile(`(?m)^id: (.*)$`)
)

// take returns the events that a viewer takes, such as "fleet 1", and the id of the last.
func take(t *testing.T, v *live.Viewer) (events []string, lastID string) {
	t.Helper()
	text, _, err := v.Take(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, match := range frames.FindAllStringSubmatch(string(text), -1) {
		events = append(events, match[1]+" "+match[2])
	}
	if all := ids.FindAllStringSubmatch(string(text), -1); len(all) > 0 {
		lastID = all[len(all)-1][1]
	}
	return events, lastID
}

func wantEvents(t *testing.T, got []string, want ...string) {
	t.Helper()
	if strings.Join(got, ", ") != strings.Join(want, ", ") {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestViewersGetStatesFirstAndResume(t *testing.T) {
	h := newHub(t, 10)
	empty, _ := take(t, join(t, h, ""))
	wantEvents(t, empty)
	publish(t, h, live.Event{Name: "fleet", Data: 1, State: true}, live.Event{Name: "deployments", Data: 2})
	publish(t, h, live.Event{Name: "fleet", Data: 1, State: true}) // no change

	v := join(t, h, "")
	got, id := take(t, v)
	wantEvents(t, got, "fleet 1")
	got, _ = take(t, v)
	wantEvents(t, got)
	publish(t, h, live.Event{Name: "deployments", Data: 3}, live.Event{Name: "fleet", Data: 4, State: true})
	got, last := take(t, v)
	wantEvents(t, got, "deployments 3", "fleet 4")

	got, _ = take(t, join(t, h, id))
	wantEvents(t, got, "deployments 3", "fleet 4")
	got, _ = take(t, join(t, h, last))
	wantEvents(t, got)

	prefix, number, _ := strings.Cut(last, "-")
	n, _ := strconv.Atoi(number)
	for _, bad := range []string{
		"x", "-", prefix, prefix + "-", fmt.Sprintf("%s-%d", prefix, n+1), prefix + "--1", prefix + "-1e1", prefix + "-18446744073709551616",
		prefix + "-" + strings.Repeat("0", 100) + number, "000000000000-" + number, strings.Repeat("x", 1<<20), "\x00",
	} {
		got, _ = take(t, join(t, h, bad))
		wantEvents(t, got, "reset {}", "fleet 4")
		if h.Viewers() > 8 {
			h = newHub(t, 10)
			publish(t, h, live.Event{Name: "fleet", Data: 4, State: true})
		}
	}
}

func TestEventsAreDropped(t *testing.T) {
	h := newHub(t, 10)
	publish(t, h, live.Event{Name: "n", Data: 0})
	v := join(t, h, "")
	publish(t, h, live.Event{Name: "n", Data: 0})
	_, id := take(t, v)
	for i := range 256 {
		publish(t, h, live.Event{Name: "n", Data: i})
	}
	got, _ := take(t, join(t, h, id))
	if len(got) != 256 {
		t.Errorf("resumed with %d events", len(got))
	}
	if got, _ = take(t, v); len(got) != 256 {
		t.Errorf("got %d events", len(got))
	}
	for i := range 257 {
		publish(t, h, live.Event{Name: "n", Data: i})
	}
	if _, _, err := v.Take(nil); !errors.Is(err, live.ErrSlow) {
		t.Errorf("got %v, want ErrSlow", err)
	}
	got, _ = take(t, join(t, h, id))
	wantEvents(t, got, "reset {}")
}

// A viewer that resumes takes a lot of events in parts.
func TestEventsAreTakenInParts(t *testing.T) {
	h := newHub(t, 10)
	v := join(t, h, "")
	for range 200 {
		publish(t, h, live.Event{Name: "n", Data: strings.Repeat("x", 6000)})
	}
	total, parts := 0, 0
	for ; total < 200; parts++ {
		text, changed, err := v.Take(nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(text) > 80_000 {
			t.Fatalf("took %d bytes at once", len(text))
		}
		total += strings.Count(string(text), "event: ")
		if total < 200 {
			<-changed // at once
		}
	}
	if total != 200 || parts < 10 {
		t.Errorf("took %d events in %d parts", total, parts)
	}
}

func TestViewersAreLimited(t *testing.T) {
	h := newHub(t, 2)
	first := join(t, h, "")
	join(t, h, "")
	if _, err := h.Join(""); !errors.Is(err, live.ErrFull) {
		t.Errorf("got %v", err)
	}
	first.Leave()
	last := join(t, h, "")
	_, changed, err := last.Take(nil)
	if err != nil {
		t.Fatal(err)
	}
	h.Close()
	h.Close()
	<-changed
	if _, _, err := last.Take(nil); !errors.Is(err, fault.ErrShuttingDown) {
		t.Errorf("got %v", err)
	}
	if _, err := h.Join(""); !errors.Is(err, fault.ErrShuttingDown) {
		t.Errorf("got %v", err)
	}
}

func TestFeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, 10)
		fleet := live.Fleet{Agents: map[string]int64{"online": 1}}
		var mu sync.Mutex // guards stored and faults
		stored, faults := uint64(0), []string{}
		feed := live.NewFeed(h, live.Sources{
			Fleet: func() (live.Fleet, bool) { return fleet, true },
			Spend: func() (live.Spend, bool) { return live.Spend{}, false },
			Stored: func() uint64 {
				mu.Lock()
				defer mu.Unlock()
				return stored
			},
			Faults: func() []string {
				mu.Lock()
				defer mu.Unlock()
				return faults
			},
		}, zap.NewNop())
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- feed.Run(ctx) }()
		synctest.Wait()
		v := join(t, h, "")
		got, _ := take(t, v)
		wantEvents(t, got, `fleet {"agents":{"online":1},"deployments":{}}`, `health {"status":"ok","reasons":[]}`)
		time.Sleep(time.Minute)
		synctest.Wait()
		got, _ = take(t, v)
		wantEvents(t, got) // nothing changed

		mu.Lock()
		stored, faults = 7, []string{"the disk is full"}
		mu.Unlock()
		for range 3 {
			feed.DeploymentsChanged("b", "a")
		}
		feed.ChangedElsewhere()
		time.Sleep(time.Second)
		synctest.Wait()
		got, _ = take(t, v)
		wantEvents(t, got, `health {"status":"degraded","reasons":["the disk is full"]}`, `deployments {"agent_ids":["a","b"],"more":true}`, `executions {"stored":7}`)

		for i := range 1000 {
			feed.DeploymentsChanged("agent-" + strconv.Itoa(i))
		}
		time.Sleep(time.Second)
		synctest.Wait()
		got, _ = take(t, v)
		if len(got) != 1 || strings.Count(got[0], "agent-") != 50 || !strings.Contains(got[0], `"more":true`) {
			t.Errorf("got %v", got)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
