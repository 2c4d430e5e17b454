package replica_test

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/watchbill/watchbill/internal/live"
	"github.com/watchbill/watchbill/internal/testkit/await"
	"github.com/watchbill/watchbill/internal/testkit/postgrestest"
)

// liveStream is an open live stream.
type liveStream struct {
	body  io.ReadCloser
	lines *bufio.Reader
}

func (n *node) openStream(lastID string) liveStream {
	n.t.Helper()
	req, err := http.NewRequestWithContext(n.t.Context(), http.MethodGet, n.url+"/api/live", nil)
	if err != nil {
		n.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+adminToken)
	if lastID != "" {
		req.Header.Set("Last-Event-ID", lastID)
	}
	resp, err := (&http.Client{Transport: n.client.Transport}).Do(req) // without a timeout
	if err != nil {
		n.t.Fatal(err)
	}
	if got := resp.Header.Get("Content-Type"); resp.StatusCode != http.StatusOK || got != "text/event-stream" {
		_ = resp.Body.Close()
		n.t.Fatalf("a live stream: %d %s", resp.StatusCode, got)
	}
	n.t.Cleanup(func() { _ = resp.Body.Close() })
	return liveStream{resp.Body, bufio.NewReader(resp.Body)}
}

// next returns the next event and its id, skipping others than the named.
func (s liveStream) next(name string) (id, data string, err error) {
	found := false
	for {
		line, err := s.lines.ReadString('\n')
		if err != nil {
			return "", "", err
		}
		switch key, value, _ := strings.Cut(strings.TrimSpace(line), ": "); key {
		case "id":
			id = value
		case "event":
			found = value == name
		case "data":
			if found {
				return id, value, nil
			}
		}
	}
}

func TestLiveStreams(t *testing.T) {
	t.Parallel()
	database := postgrestest.NewDatabase(t)
	a, b := start(t, database), start(t, database)
	here, elsewhere := a.openStream(""), b.openStream("")
	id, data, err := here.next("health")
	if err != nil || !strings.Contains(data, `"status":"ok"`) {
		t.Fatalf("health: %s, %v", data, err)
	}
	a.enroll("edge-1")
	a.deploy("edge-1")
	for !strings.Contains(data, "edge-1") {
		if _, data, err = here.next("deployments"); err != nil {
			t.Fatal(err)
		}
	}
	for !strings.Contains(data, `"more":true`) {
		if _, data, err = elsewhere.next("deployments"); err != nil {
			t.Fatal(err)
		}
	}
	_ = here.body.Close()
	resumed := a.openStream(id)
	for data = ""; !strings.Contains(data, "edge-1"); {
		if _, data, err = resumed.next("deployments"); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err = b.openStream(id).next("reset"); err != nil {
		t.Errorf("a stream that another replica began: %v", err)
	}
	a.stop()
	for err == nil {
		_, _, err = resumed.next("end")
	}
	if !errors.Is(err, io.EOF) { // and not cut off
		t.Errorf("a shutdown ends the stream with %v", err)
	}
}

// A thousand viewers cause no query, and no more are admitted.
func TestLiveStreamsRunNoQuery(t *testing.T) {
	t.Parallel()
	n := start(t, postgrestest.NewDatabase(t))
	streams := make([]liveStream, live.MaxViewers)
	for i := range streams {
		streams[i] = n.openStream("")
	}
	for i := range streams { // all are admitted and have read the present state
		if _, _, err := streams[i].next("health"); err != nil {
			t.Fatal(err)
		}
	}
	if got := n.get("/api/live", adminToken); got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" {
		t.Errorf("one more gets %d", got.status)
	}
	before := n.queries()
	n.enroll("edge-1")
	n.deploy("edge-1")
	var readers sync.WaitGroup
	for _, s := range streams {
		readers.Go(func() {
			if _, _, err := s.next("deployments"); err != nil {
				t.Error(err)
			}
		})
	}
	readers.Wait()
	for name, ran := range n.queries() {
		if ran -= before[name]; ran > 5 && !background[name] {
			t.Errorf("%s ran %v times for a change", name, ran)
		}
	}
	before = n.queries()
	after := before
	await.Until(t, "some seconds over", func() bool { // a replica sweeps twice a second
		after = n.queries()
		return after["Sweep"] >= before["Sweep"]+6
	})
	total := 0.0
	for name, ran := range after {
		if ran -= before[name]; ran > 0 {
			total += ran
			if !background[name] {
				t.Errorf("%s ran %v times while nothing changed", name, ran)
			}
		}
	}
	if total >= live.MaxViewers/2 {
		t.Errorf("%v queries ran while nothing changed", total)
	}
	for _, s := range streams {
		_ = s.body.Close()
	}
	await.Until(t, "no viewers", func() bool {
		open, _ := n.gauge("watchbill_live_streams")
		return open == 0
	})
}
