package fleet_test

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/watchbill/watchbill/internal/fault"
	"github.com/watchbill/watchbill/internal/fleet"
)

func TestAgentState(t *testing.T) {
	for _, tt := range []struct {
		silent   time.Duration
		interval time.Duration
		want     fleet.State
	}{
		{15*time.Second + fleet.PresenceLag, 0, fleet.Online},
		{15*time.Second + fleet.PresenceLag + 1, 0, fleet.Late},
		{time.Minute + fleet.PresenceLag, 0, fleet.Late},
		{time.Minute + fleet.PresenceLag + 1, 0, fleet.Offline},
		{time.Minute + fleet.PresenceLag + 1, 60 * time.Second, fleet.Online},
		{-time.Hour, 0, fleet.Online}, // a clock that was set back
	} {
		a := fleet.Agent{PollInterval: 10 * time.Second, Presence: fleet.Presence{LastSeenAt: noon.Add(-tt.silent), Interval: tt.interval}}
		if got := a.State(noon); got != tt.want {
			t.Errorf("silent for %s, told %s: want %s, got %s", tt.silent, tt.interval, tt.want, got)
		}
	}
	if got := new(fleet.Agent).State(noon); got != fleet.Offline {
		t.Errorf("never seen: want offline, got %s", got)
	}
}

func TestValidate(t *testing.T) {
	agent := func(change func(*fleet.Agent)) error {
		a := fleet.Agent{ID: "a-1", Name: "A", PollInterval: 10 * time.Second}
		change(&a)
		return a.Validate()
	}
	create := func(change func(*fleet.NewDeployment)) error {
		n := fleet.NewDeployment{Name: "n", Spec: []byte(`{}`), MaxAttempts: 3, Lease: time.Minute}
		change(&n)
		return n.Validate()
	}
	report := func(change func(*fleet.Report)) error {
		r := fleet.Report{Attempt: 1, Claim: "c", Status: fleet.Running}
		change(&r)
		return r.Validate()
	}
	for name, tt := range map[string]struct {
		err   error
		field string // empty if valid
	}{
		"agent":               {agent(func(*fleet.Agent) {}), ""},
		"id with every sort":  {agent(func(a *fleet.Agent) { a.ID = "0aZ._-9" }), ""},
		"no id":               {agent(func(a *fleet.Agent) { a.ID = "" }), "id"},
		"id with slash":       {agent(func(a *fleet.Agent) { a.ID = "a/b" }), "id"},
		"id with space":       {agent(func(a *fleet.Agent) { a.ID = "a b" }), "id"},
		"id of dots":          {agent(func(a *fleet.Agent) { a.ID = ".." }), "id"},
		"id in Greek":         {agent(func(a *fleet.Agent) { a.ID = "αβ" }), "id"},
		"long id":             {agent(func(a *fleet.Agent) { a.ID = strings.Repeat("a", 129) }), "id"},
		"no name":             {agent(func(a *fleet.Agent) { a.Name = "" }), "name"},
		"name with NUL":       {agent(func(a *fleet.Agent) { a.Name = "a\x00" }), "name"},
		"name with escapes":   {agent(func(a *fleet.Agent) { a.Name = "a\x1b[2J" }), "name"},
		"name in bad UTF-8":   {agent(func(a *fleet.Agent) { a.Name = "a\xff" }), "name"},
		"interval 0":          {agent(func(a *fleet.Agent) { a.PollInterval = 0 }), "poll_interval_seconds"},
		"interval of hours":   {agent(func(a *fleet.Agent) { a.PollInterval = 2 * time.Hour }), "poll_interval_seconds"},
		"bad label key":       {agent(func(a *fleet.Agent) { a.Labels = map[string]string{"a b": "c"} }), "labels"},
		"bad label value":     {agent(func(a *fleet.Agent) { a.Labels = map[string]string{"a": "b c"} }), "labels.a"},
		"create":              {create(func(*fleet.NewDeployment) {}), ""},
		"spec is a list":      {create(func(n *fleet.NewDeployment) { n.Spec = []byte(`[]`) }), "spec"},
		"no spec":             {create(func(n *fleet.NewDeployment) { n.Spec = nil }), "spec"},
		"huge spec":           {create(func(n *fleet.NewDeployment) { n.Spec = []byte("{" + strings.Repeat(" ", fleet.MaxSpec) + "}") }), "spec"},
		"no attempts":         {create(func(n *fleet.NewDeployment) { n.MaxAttempts = 0 }), "max_attempts"},
		"many attempts":       {create(func(n *fleet.NewDeployment) { n.MaxAttempts = 101 }), "max_attempts"},
		"short lease":         {create(func(n *fleet.NewDeployment) { n.Lease = time.Second }), "lease_seconds"},
		"long lease":          {create(func(n *fleet.NewDeployment) { n.Lease = 25 * time.Hour }), "lease_seconds"},
		"report":              {report(func(*fleet.Report) {}), ""},
		"attempt 0":           {report(func(r *fleet.Report) { r.Attempt = 0 }), "attempt"},
		"status of the store": {report(func(r *fleet.Report) { r.Status = fleet.TimedOut }), "status"},
		"no claim":            {report(func(r *fleet.Report) { r.Claim = "" }), "claim"},
		"progress over 100":   {report(func(r *fleet.Report) { r.Progress = ptr(100.1) }), "progress"},
		"progress NaN":        {report(func(r *fleet.Report) { r.Progress = ptr(math.NaN()) }), "progress"},
		"long message":        {report(func(r *fleet.Report) { r.Message = ptr(strings.Repeat("m", fleet.MaxMessage+1)) }), "message"},
		"output with NUL":     {report(func(r *fleet.Report) { r.Output = ptr("\x00") }), "output"},
	} {
		t.Run(name, func(t *testing.T) {
			var problem *fault.Error
			errors.As(tt.err, &problem)
			if got := problem; (got == nil) != (tt.field == "") || got != nil && (got.Field != tt.field || got.Kind != fault.Invalid) {
				t.Errorf("want a fault of %q, got %v", tt.field, tt.err)
			}
		})
	}
}

func TestSelector(t *testing.T) {
	labels := map[string]string{"env": "prod", "tier": "web"}
	for selector, want := range map[string]bool{
		"env=prod": true, "env==prod,tier in (web,api)": true, "env!=prod": false, "!canary": true, "canary": false, "tier notin (web)": false,
	} {
		s, err := fleet.ParseSelector("selector", selector)
		if err != nil {
			t.Fatalf("%s: %v", selector, err)
		}
		if got := s.Matches(labels); got != want {
			t.Errorf("%s: want %v, got %v", selector, want, got)
		}
		if want {
			for key, value := range s.Equalities() {
				if labels[key] != value {
					t.Errorf("%s: the index is asked for %s=%s, which a match lacks", selector, key, value)
				}
			}
		}
	}
	for _, bad := range []string{"", "=", "a=b=c", "a in ()b", "a b", strings.Repeat("a", fleet.MaxSelector+1), ","} {
		if _, err := fleet.ParseSelector("selector", bad); err == nil {
			t.Errorf("%.20q was accepted", bad)
		}
	}
}

func TestPendingTag(t *testing.T) {
	a, b := uuid.MustParse("00000000-0000-0000-0000-00000000000a"), uuid.MustParse("00000000-0000-0000-0000-00000000000b")
	tags := map[string]string{}
	for name, waiting := range map[string][]fleet.Waiting{
		"nothing": nil, "a": {{a, 1}}, "a again": {{a, 2}}, "b": {{b, 1}}, "both": {{a, 1}, {b, 1}}, "both, b first": {{b, 1}, {a, 1}},
	} {
		tag := fleet.PendingTag(waiting)
		if other, ok := tags[tag]; ok {
			t.Errorf("%s and %s have one tag", name, other)
		}
		tags[tag] = name
		if tag != fleet.PendingTag(waiting) {
			t.Errorf("%s: two tags for one set", name)
		}
	}
	if tags[fleet.NothingWaiting] != "nothing" {
		t.Error("NothingWaiting is not the tag of nothing")
	}
}

func TestToken(t *testing.T) {
	token, err := fleet.NewToken(bytes.NewReader(make([]byte, 32)))
	if err != nil || !strings.HasPrefix(token, fleet.TokenPrefix) || len(token) != len(fleet.TokenPrefix)+43 {
		t.Fatalf("got %q, %v", token, err)
	}
	if !fleet.HashToken(token).Equal(fleet.HashToken(token)) || fleet.HashToken(token).Equal(fleet.HashToken(token+"x")) {
		t.Error("hashes do not tell tokens apart")
	}
	if _, err := fleet.NewToken(bytes.NewReader(nil)); err == nil {
		t.Error("a token was made of no randomness")
	}
}

func TestPacing(t *testing.T) {
	half := func() float64 { return 0.5 }
	wait := fleet.ExponentialBackoff(5*time.Second, time.Minute, half)
	for attempt, want := range map[int]time.Duration{1: 5 * time.Second, 2: 10 * time.Second, 4: 40 * time.Second, 5: time.Minute, 100: time.Minute} {
		if got := wait(attempt); got != want {
			t.Errorf("backoff after attempt %d: want %s, got %s", attempt, want, got)
		}
	}
	for _, tt := range []struct {
		wait, limit      time.Duration
		longest, atLeast time.Duration
	}{
		{0, time.Minute, 0, 0},
		{2 * time.Second, time.Minute, 2 * time.Second, 2 * time.Second},
		{30 * time.Second, 48 * time.Second, 29400 * time.Millisecond, 27 * time.Second},
		{time.Minute, 48 * time.Second, 47040 * time.Millisecond, 43200 * time.Millisecond},
		{time.Minute, time.Second, time.Second, time.Second},
		{time.Minute, 0, 0, 0},
	} {
		longest, atLeast := fleet.HoldTime(tt.wait, tt.limit, 0), fleet.HoldTime(tt.wait, tt.limit, 1)
		if longest.Round(time.Millisecond) != tt.longest || atLeast.Round(time.Millisecond) != tt.atLeast {
			t.Errorf("a wait of %s, at most %s: got %s to %s, want %s to %s", tt.wait, tt.limit, atLeast, longest, tt.atLeast, tt.longest)
		}
	}
	if low, high := fleet.Jitter(10*time.Second, 0), fleet.Jitter(10*time.Second, 1); low != 9*time.Second || high != 11*time.Second {
		t.Errorf("jitter of 10 s: want 9 s to 11 s, got %s to %s", low, high)
	}
}

func TestLogTail(t *testing.T) {
	for name, tt := range map[string]struct {
		end, offset int64
		chunk       string
		want        string
		err         error
	}{
		"next":           {10, 10, "abc", "abc", nil},
		"repeated":       {10, 7, "abc", "", nil},
		"overlapping":    {10, 8, "abcd", "cd", nil},
		"long past":      {10, 0, "abc", "", nil},
		"gap":            {10, 11, "abc", "", fleet.ErrLogGap},
		"to the limit":   {fleet.MaxLog - 3, fleet.MaxLog - 3, "abc", "abc", nil},
		"over the limit": {fleet.MaxLog - 2, fleet.MaxLog - 2, "abc", "", fleet.ErrLogFull},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := fleet.LogTail(tt.end, tt.offset, []byte(tt.chunk))
			if string(got) != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("want %q, %v; got %q, %v", tt.want, tt.err, got, err)
			}
		})
	}
}
