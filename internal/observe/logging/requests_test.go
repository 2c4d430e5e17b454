package logging

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"
)

var idlePoll = RequestLine{Method: "GET", Route: "/pending/{agent_id}", Path: "/pending/a", Status: 304, Duration: time.Millisecond, Idle: true}

// counted returns the number of requests that lines represent, by status, as the log analyzer does.
func counted(tb testing.TB, log string) (requests map[int]int, lines int) {
	tb.Helper()
	requests = make(map[int]int)
	for _, line := range jsonLines(tb, log) {
		stands := 1
		if sampled, ok := line["sampled"]; ok {
			stands = int(sampled.(float64))
		}
		requests[int(line["status"].(float64))] += stands
		lines++
	}
	return requests, lines
}

func TestRequestLine(t *testing.T) {
	base := RequestLine{
		Method: "POST", Route: "/api/agents", Path: "/api/agents?admin_token=abc&x=1", Status: 201, Duration: 1500 * time.Microsecond,
		BytesIn: 10, BytesOut: 20, RequestID: "r-1", Remote: "10.0.0.1:99",
	}
	tests := []struct {
		name   string
		change func(*RequestLine)
		want   string // the line, without ts
	}{
		{"all fields", func(*RequestLine) {}, `{"level":"info","logger":"watchbill.http","msg":"request","method":"POST","route":"/api/agents",` +
			`"path":"/api/agents?admin_token=[redacted]&x=1","status":201,"duration_ms":1.5,"bytes_in":10,"bytes_out":20,"request_id":"r-1","remote":"10.0.0.1:99"}`},
		{"agent", func(r *RequestLine) { r.AgentID = "a-1" }, `"agent_id":"a-1"}`},
		{"server error", func(r *RequestLine) { r.Status = 503 }, `"level":"error"`},
		{"client error", func(r *RequestLine) { r.Status = 404 }, `"level":"info"`},
		{"unknown method", func(r *RequestLine) { r.Method = "BREW" }, `"method":"OTHER"`},
		{"agent's token as an id", func(r *RequestLine) { r.RequestID = "wba_abc" }, `"request_id":"wba_[redacted]"`},
		{"known secret in the path", func(r *RequestLine) { r.Path = "/x/s3cr3t/y" }, `"path":"/x/[redacted]/y"`},
		{"long path", func(r *RequestLine) { r.Path = "/" + strings.Repeat("é", 200) }, `"path":"/` + strings.Repeat("é", 126) + `…"`},
		{"secret at the cut", func(r *RequestLine) { r.Path = "/" + strings.Repeat("x", 240) + "/s3cr3t-and-more" }, `xxx/[redacted]-…"`},
		{"path beyond reason", func(r *RequestLine) { r.Path = strings.Repeat("/", 5000) }, `"path":"[too long]"`},
		{"query beyond reason", func(r *RequestLine) { r.Path = "/x?key=" + strings.Repeat("a", 5000) }, `"path":"/x?[too long]"`},
		{"id beyond reason", func(r *RequestLine) { r.RequestID = strings.Repeat("a", 5000) }, `"request_id":"[too long]"`},
		{"not UTF-8", func(r *RequestLine) { r.Path = "/\xff\x00" }, `"path":"/\ufffd\u0000"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var stdout lockedBuffer
			l := NewRequestLogger(newTestLogs(t, Options{Stdout: &stdout, Secrets: []string{"s3cr3t"}}), time.Now)
			line := base
			tt.change(&line)
			l.Log(line)
			got := stdout.String()
			ts := jsonLines(t, got)[0]["ts"].(string)
			got = strings.Replace(got, `"ts":"`+ts+`",`, "", 1)
			got = strings.ReplaceAll(got, "\uFFFD", `\ufffd`)
			if !strings.Contains(got, tt.want) {
				t.Errorf("got %s, want %s in it", got, tt.want)
			}
			if path := jsonLines(t, stdout.String())[0]["path"].(string); len(path) > maxPathLine || !utf8.ValidString(path) {
				t.Errorf("path has %d bytes", len(path))
			}
		})
	}
}

func TestIdlePollsAreSampled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out lockedBuffer
		l := NewRequestLogger(newTestLogs(t, Options{Stdout: &out}), time.Now)
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { _ = l.Run(ctx) })

		for range 1000 {
			l.Log(idlePoll)
		}
		// The first 10, then one in 100 of the others: 110, 210, … 910.
		if requests, lines := counted(t, out.String()); lines != 19 || requests[304] != 910 {
			t.Errorf("%d lines for %d requests, want 19 for 910 of the 1000", lines, requests[304])
		}
		time.Sleep(leftEvery)
		synctest.Wait()
		if requests, lines := counted(t, out.String()); lines != 20 || requests[304] != 1000 {
			t.Errorf("%d lines for %d requests after a while, want 20 for 1000", lines, requests[304])
		}

		l.Log(idlePoll) // another second: logged
		if _, lines := counted(t, out.String()); lines != 21 {
			t.Errorf("%d lines, want 21: the first of a second is logged", lines)
		}
		failed := idlePoll
		failed.Status = 503
		for range 100 {
			l.Log(failed)
		}
		if requests, lines := counted(t, out.String()); lines != 121 || requests[503] != 100 {
			t.Errorf("%d lines, %d failures, want a line for each of 100", lines, requests[503])
		}
		for range 50 {
			l.Log(idlePoll)
		}
		cancel()
		running.Wait()
		if requests, _ := counted(t, out.String()); requests[304] != 1051 {
			t.Errorf("lines stand for %d requests in the end, want 1051", requests[304])
		}
		synctest.Wait()
	})
}

func TestSampledCountsAreExact(t *testing.T) {
	var out lockedBuffer
	clock := &testClock{time: epoch}
	logs := newTestLogs(t, Options{Stdout: &out})
	l := NewRequestLogger(logs, clock.Now)
	l.idle.first, l.idle.every = 1, 5
	const loggers, each = 4, 3000
	var logging sync.WaitGroup
	var mu sync.Mutex
	want := make(map[int]int)
	for range loggers {
		logging.Go(func() {
			mine := make(map[int]int)
			for i := range each {
				line := idlePoll
				line.Status = []int{200, 304}[rand.IntN(2)]
				line.Route = fmt.Sprint("/", rand.IntN(maxSamplers)) // twice as many kinds as there are samplers
				l.Log(line)
				mine[line.Status]++
				switch {
				case i%300 == 0:
					logs.Sync() // otherwise lines might be dropped
					clock.Advance(time.Second)
				case i%777 == 0:
					l.flush(l.idle)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			for status, n := range mine {
				want[status] += n
			}
		})
	}
	logging.Wait()
	l.flush(l.idle)
	got, lines := counted(t, out.String())
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("lines stand for %v requests, want %v", got, want)
	}
	if lines > loggers*each*9/10 || len(*l.idle.byKind.Load()) != maxSamplers {
		t.Errorf("%d lines and %d samplers: little was sampled, or without a bound", lines, len(*l.idle.byKind.Load()))
	}
	l.flush(l.idle)
	if again, _ := counted(t, out.String()); fmt.Sprint(again) != fmt.Sprint(want) {
		t.Errorf("a second flush adds requests: %v", again)
	}
}

func TestDisabledLevelsDoNotAllocate(t *testing.T) {
	var out lockedBuffer
	logs := newTestLogs(t, Options{Stdout: &out, Level: "error"})
	l := NewRequestLogger(logs, time.Now)
	for range 1000 {
		l.Log(idlePoll)
	}
	l.flush(l.idle)
	if out.String() != "" {
		t.Errorf("logged below the level: %s", out.String())
	}
	if err := logs.SetLevel("info"); err != nil {
		t.Fatal(err)
	}
	l.flush(l.idle)
	if out.String() != "" {
		t.Errorf("requests that were below the level are logged later: %s", out.String())
	}
}

// TestUnauthenticatedRequestsAreSampled checks that a flood of requests without a valid token, of any number of kinds,
// gets a few lines a second, and that every request is counted.
func TestUnauthenticatedRequestsAreSampled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out lockedBuffer
		l := NewRequestLogger(newTestLogs(t, Options{Stdout: &out}), time.Now)
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { _ = l.Run(ctx) })
		const seconds, kinds, each = 120, 2 * maxUnauthenticatedKinds, 5
		for range seconds {
			for k := range kinds {
				for range each {
					l.Log(RequestLine{Method: "GET", Route: fmt.Sprint("/", k), Path: "/", Status: 401, Unauthenticated: true})
				}
			}
			time.Sleep(time.Second)
		}
		synctest.Wait()
		lines := len(jsonLines(t, out.String()))
		if limit := seconds*unauthenticatedAll + 3*(maxUnauthenticatedKinds+1); lines > limit {
			t.Errorf("%d lines, want at most %d", lines, limit)
		}
		l.Log(RequestLine{Method: "GET", Route: "/", Path: "/", Status: 401}) // with a token
		if got := len(jsonLines(t, out.String())); got != lines+1 {
			t.Errorf("%d lines, want %d: an authenticated caller's request has a line of its own", got, lines+1)
		}
		cancel()
		running.Wait()
		requests, _ := counted(t, out.String())
		if got, want := requests[401]+requests[0], seconds*kinds*each+1; got != want {
			t.Errorf("lines stand for %d requests, want %d", got, want)
		}
		synctest.Wait()
	})
}

// TestKnownCallersDoNotFillTheLog sends many requests of a caller with a token.
func TestKnownCallersDoNotFillTheLog(t *testing.T) {
	for status, first := range map[int]int{403: busyFirst, 503: failedFirst} {
		synctest.Test(t, func(t *testing.T) {
			var out lockedBuffer
			l := NewRequestLogger(newTestLogs(t, Options{Stdout: &out}), time.Now)
			const seconds, each = 10, 5000
			for range seconds {
				for range each {
					l.Log(RequestLine{Method: "GET", Route: "/api/agents", Path: "/api/agents", Status: status, AgentID: "a1"})
				}
				time.Sleep(time.Second)
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			_ = l.Run(ctx) // writes the rest
			requests, lines := counted(t, out.String())
			if limit := (seconds+1)*(first+each/busyEvery) + 1; lines > limit {
				t.Errorf("%d: %d lines, want at most %d", status, lines, limit)
			}
			if got, want := requests[status], seconds*each; got != want {
				t.Errorf("%d: lines stand for %d requests, want %d", status, got, want)
			}
		})
	}
}

func TestCausesAreSampled(t *testing.T) {
	clock := &testClock{time: epoch}
	l := NewRequestLogger(newTestLogs(t, Options{Stdout: &lockedBuffer{}}), clock.Now)
	var lines, stand int64
	for range 3 {
		for range 1000 {
			if n := l.SampleCause(false); n > 0 {
				lines++
				stand += n
			}
		}
		clock.Advance(time.Second)
	}
	if lines != 3*unauthenticatedFirst || stand != 2000+unauthenticatedFirst {
		t.Errorf("%d lines for %d, want %d for %d", lines, stand, 3*unauthenticatedFirst, 2000+unauthenticatedFirst)
	}
}
