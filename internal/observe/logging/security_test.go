package logging

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
)

func TestSecurityEventsHaveTheirOwnFile(t *testing.T) {
	dir := t.TempDir()
	var stdout lockedBuffer
	logs := newTestLogs(t, Options{Dir: dir, Stdout: &stdout, Level: "error", Secrets: []string{"an-enrollment-token"}})
	l := NewSecurityLog(logs, time.Now)
	l.Record(SecurityEvent{
		Kind: "agent.enrolled", Actor: Actor{"enrollment", Fingerprint("an-enrollment-token")}, Remote: "192.0.2.1:99", RequestID: "r-1",
		Fields: []zap.Field{zap.String("agent_id", "a-1")}, Bounded: true,
	})
	l.Weak("ADMIN_TOKEN is short")
	logs.App.Error("else")
	logs.Sync()

	got := readFile(t, dir, SecurityLogFile)
	if want := `"msg":"agent.enrolled","event":"agent.enrolled","actor":"enrollment","actor_id":"` + Fingerprint("an-enrollment-token") +
		`","remote":"192.0.2.1:99","request_id":"r-1","agent_id":"a-1"}`; !strings.Contains(got, want) {
		t.Errorf("got %s, want %s in it", got, want)
	}
	if lines := messages(t, got); fmt.Sprint(lines) != "[agent.enrolled configuration.weak]" {
		t.Errorf("%s has %q", SecurityLogFile, lines)
	}
	if lines := messages(t, stdout.String()); fmt.Sprint(lines) != "[agent.enrolled configuration.weak else]" {
		t.Errorf("stdout has %q", lines)
	}
	if lines := messages(t, readFile(t, dir, AppLogFile)); fmt.Sprint(lines) != "[else]" {
		t.Errorf("%s has %q", AppLogFile, lines)
	}
}

// securityLines calls do with a running security log and returns the lines logged.
func securityLines(t *testing.T, do func(l *SecurityLog)) []map[string]any {
	t.Helper()
	var out lockedBuffer
	synctest.Test(t, func(t *testing.T) {
		logs := newTestLogs(t, Options{Stdout: &out})
		l := NewSecurityLog(logs, time.Now)
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { _ = l.Run(ctx) })
		do(l)
		cancel()
		running.Wait()
		logs.Sync()
		out.sync = nil
	})
	return jsonLines(t, out.String())
}

// TestBoundedEventsAreCounted checks that an hour of enrollments, thousands a minute from many networks, gets a limited
// number of lines, and that each one is counted.
func TestBoundedEventsAreCounted(t *testing.T) {
	const minutes, networks, each = 60, 100, 20
	lines := securityLines(t, func(l *SecurityLog) {
		for range minutes {
			for n := range networks {
				for range each {
					l.Record(SecurityEvent{Kind: "agent.enrolled", Remote: fmt.Sprintf("192.0.%d.1", n), Bounded: true})
				}
			}
			time.Sleep(time.Minute)
		}
	})
	var stand int
	for _, line := range lines {
		if n, ok := line["repeated"].(float64); ok {
			stand += int(n)
		} else {
			stand++
		}
	}
	if limit := (minutes + 1) * (maxEvents + maxSummaries + 1); stand != minutes*networks*each || len(lines) > limit {
		t.Errorf("%d lines stand for %d events, want at most %d for %d", len(lines), stand, limit, minutes*networks*each)
	}
}

func TestEventsOfOneNetworkLeaveRoomForOthers(t *testing.T) {
	lines := securityLines(t, func(l *SecurityLog) {
		for i := range 10_000 {
			l.Record(SecurityEvent{Kind: "agent.enrolled", Remote: fmt.Sprintf("[2001:db8::%x]:1", i), Bounded: true})
		}
		l.Record(SecurityEvent{Kind: "agent.enrolled", Remote: "198.51.100.7:1", Bounded: true})
		for range 1000 {
			l.Record(SecurityEvent{Kind: "agent.deleted", Remote: "[2001:db8::1]:1"})
		}
	})
	var other, deleted int
	var summaries []map[string]any
	for _, line := range lines {
		switch {
		case line["repeated"] != nil:
			summaries = append(summaries, line)
		case line["remote"] == "198.51.100.7:1":
			other++
		case line["event"] == "agent.deleted":
			deleted++
		}
	}
	if other != 1 || deleted != 1000 {
		t.Errorf("%d of another network and %d deletions, want 1 and 1000", other, deleted)
	}
	if len(summaries) != 1 || summaries[0]["repeated"] != float64(10_000-maxEventsFromOne) || summaries[0]["network"] != "2001:db8::/64" {
		t.Errorf("summaries %v", summaries)
	}
}

func TestManyRefusalsAreCounted(t *testing.T) {
	lines := securityLines(t, func(l *SecurityLog) {
		for i := range 5 * maxNetworks { // more networks than are distinguished
			l.Refused(fmt.Sprintf("10.%d.%d.1:1", i/256, i%256), 404)
		}
		for i := range 500 {
			l.Refused("10.0.0.1:1", 401+2*(i%2))
		}
		for range manyRefusals - 2 {
			l.Refused("10.0.1.1:1", 401)
		}
		for range 1000 {
			l.Refused("not an address", 401)
		}
	})
	got := map[string]string{}
	for _, line := range lines {
		got[fmt.Sprint(line["network"])] = fmt.Sprint(line["refused"], line["by_status"])
	}
	want := map[string]string{
		"10.0.0.0/24": "501 map[401:250 403:250 404:1]",
		"others":      fmt.Sprintf("%d map[401:1000 404:%d]", 4*maxNetworks+1000, 4*maxNetworks),
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
