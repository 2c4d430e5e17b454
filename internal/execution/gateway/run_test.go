package gateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/execution/gateway"
	"github.com/watchbill/watchbill/internal/execution/spool"
	"github.com/watchbill/watchbill/internal/fault"
)

const echoAgents = "agents: [{name: parrot, types: ['*'], kind: echo, timeout: 1m, echo: {delay: 20ms}}]"

func wantFault(t *testing.T, what string, err error, kind fault.Kind, code, field string) {
	t.Helper()
	var problem *fault.Error
	if !errors.As(err, &problem) || problem.Kind != kind || problem.Code != code || problem.Field != field {
		t.Errorf("%s: want %s of %s, got %#v", what, code, field, err)
	}
}

func TestEcho(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		message, options string
		text             string
		status           execution.Status
		code, says       string
		tokens           execution.Tokens
	}{
		"repeats its input":      {"good  day\n", "", "You said: good  day\n", execution.Success, "", "", execution.Tokens{Input: 2, Output: 4, Used: 6}},
		"ignores what it is not": {"a", `{"count":3}`, "You said: a", execution.Success, "", "", execution.Tokens{Input: 1, Output: 3, Used: 4}},
		"fails":                  {"a b", `{"fail":"no luck"}`, "", execution.Failure, "agent_failed", "no luck", execution.Tokens{Input: 2, Used: 2}},
		"is late":                {"a", `{"delay_ms":30000}`, "You said: a", execution.Success, "", "", execution.Tokens{Input: 1, Output: 3, Used: 4}},
		"is too late":            {"a", `{"delay_ms":61000}`, "", execution.Timeout, "timeout", "the agent did not finish within 1m", execution.Tokens{Input: 1, Used: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				a := newFixture(t, echoAgents).run(prompt(withOptions(test.options), func(p *execution.Prompt) { p.Message = test.message }))
				if a.text != test.text || a.record.Status != test.status || a.record.ErrorMessage != test.says || a.record.Tokens != test.tokens {
					t.Errorf("got %q, %+v", a.text, a.record)
				}
				if a.record.Model != "echo-1" || a.record.AgentName != "parrot" {
					t.Errorf("record: got %+v", a.record)
				}
				if test.code != "" && a.last["code"] != test.code {
					t.Errorf("error event: want %s, got %v", test.code, a.last)
				}
			})
		})
	}
}

func TestEchoRefusesOptions(t *testing.T) {
	t.Parallel()
	f := newFixture(t, echoAgents)
	for options, field := range map[string]string{
		`{"fail":1}`: "options.fail", `{"delay_ms":-1}`: "options.delay_ms", `{"delay_ms":"1"}`: "options.delay_ms", `{"delay_ms":3600001}`: "options.delay_ms",
	} {
		_, err := f.Start(prompt(withOptions(options)))
		wantFault(t, options, err, fault.Invalid, "invalid_field", field)
	}
}

func TestStartRefuses(t *testing.T) {
	t.Parallel()
	agents := "agents: [{name: parrot, types: [chat], kind: echo}]"
	t.Run("a type without an agent", func(t *testing.T) {
		t.Parallel()
		_, err := newFixture(t, agents).Start(prompt(func(p *execution.Prompt) { p.Type = "song" }))
		wantFault(t, "start", err, fault.NotFound, "no_agent", "type")
	})
	t.Run("everything without a file", func(t *testing.T) {
		t.Parallel()
		_, err := newFixture(t, agents, func(o *gateway.Options) { o.Agents = func() *gateway.Agents { return nil } }).Start(prompt())
		wantFault(t, "start", err, fault.NotFound, "no_agent", "type")
	})
	t.Run("what could not be recorded", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, agents)
		f.refuse = spool.ErrFull
		_, err := f.Start(prompt())
		if !errors.Is(err, fault.ErrUnavailable) || f.Running() != 0 {
			t.Errorf("start: want %v and no run, got %v and %d", fault.ErrUnavailable, err, f.Running())
		}
	})
	t.Run("a user that cannot be recorded", func(t *testing.T) {
		t.Parallel()
		_, err := newFixture(t, agents).Start(prompt(func(p *execution.Prompt) { p.UserID = "a\x00b" }))
		wantFault(t, "start", err, fault.Invalid, "invalid_field", "user_id")
	})
	t.Run("more runs than there may be", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, agents, func(o *gateway.Options) { o.MaxRuns = 2 })
		first, err := f.Start(prompt())
		if err != nil {
			t.Fatal(err)
		}
		second, err := f.Start(prompt())
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.Start(prompt())
		wantFault(t, "start", err, fault.Unavailable, "busy", "")
		discard := func(execution.Event) error { return nil }
		first.Stream(t.Context(), discard)
		first.Stream(t.Context(), discard) // has no effect
		if _, err = f.Start(prompt()); err != nil {
			t.Errorf("start once there is room: %v", err)
		}
		second.Stream(t.Context(), discard)
		if n := len(f.all()); n != 2 {
			t.Errorf("records of two runs: got %d", n)
		}
	})
}

func TestClientDisconnect(t *testing.T) {
	t.Parallel()
	errShutdown := errors.New("the replica shuts down")
	for name, test := range map[string]struct {
		cancels error // of the context; nil: emit fails
		at      string
		message string
		output  string
		ends    bool // with an error event
	}{
		"and emit says so":             {nil, "delta", "client went away", `{"text":"Hi","partial":true}`, false},
		"before it began":              {nil, "started", "client went away", ``, false},
		"and the context says so":      {context.Canceled, "delta", "client went away", `{"text":"Hi","partial":true}`, true},
		"for the replica is shut down": {errShutdown, "delta", "the run was stopped: the replica shuts down", `{"text":"Hi","partial":true}`, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			upstreamGone := make(chan struct{})
			url := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if test.at == "delta" {
					stream(chunk("Hi"))(w, r)
				}
				silent(w, r)
				close(upstreamGone)
			})
			f := newFixture(t, openAIAgents(url))
			run, err := f.Start(prompt())
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			var names []string
			run.Stream(ctx, func(e execution.Event) error {
				names = append(names, e.Name)
				if e.Name == test.at && test.cancels == nil {
					return errors.New("broken pipe")
				}
				if e.Name == test.at {
					cancel(test.cancels)
				}
				return nil
			})
			if test.at == "delta" {
				<-upstreamGone // otherwise the test times out
			}
			got := f.all()
			if len(got) != 1 || got[0].Status != execution.Failure || got[0].ErrorMessage != test.message || string(got[0].Output) != test.output {
				t.Errorf("record: want failure, %q and %s, got %+v", test.message, test.output, got)
			}
			if ended := names[len(names)-1] == "error"; ended != test.ends {
				t.Errorf("events: got %v", names)
			}
		})
	}
}

func TestPanicIsRecordedAsFailure(t *testing.T) {
	t.Parallel()
	quiet := func(o *gateway.Options) { o.Log = zap.NewNop() }
	t.Run("of the upstream's client", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, openAIAgents("http://upstream"), quiet, func(o *gateway.Options) { o.Transport = panics{} })
		a := f.run(prompt())
		if a.record.Status != execution.Failure || a.last["code"] != "internal" || strings.Contains(a.record.ErrorMessage, "boom") {
			t.Errorf("got %+v, %v", a.record, a.last)
		}
	})
	t.Run("of emit", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, echoAgents, quiet)
		run, err := f.Start(prompt())
		if err != nil {
			t.Fatal(err)
		}
		run.Stream(t.Context(), func(execution.Event) error { panic("boom") })
		if got := f.all(); len(got) != 1 || got[0].ErrorMessage != "client went away" {
			t.Errorf("records: got %+v", got)
		}
	})
	t.Run("of preparing", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, echoAgents, quiet)
		before := f.prepare
		f.prepare = func(e execution.Execution) (execution.Execution, *execution.Fault) {
			if e.Input != nil {
				panic("boom")
			}
			return before(e)
		}
		if a := f.run(prompt()); a.record.Status != execution.Success || a.record.Input != nil {
			t.Errorf("record: want it without its input, got %+v", a.record)
		}
	})
}

type panics struct{}

func (panics) RoundTrip(*http.Request) (*http.Response, error) { panic("boom") }

// A run whose record is rejected for its content is recorded without it.
func TestEveryRunIsRecorded(t *testing.T) {
	t.Parallel()
	policy := execution.PayloadPolicy{Max: 300, Refuse: true}
	f := newFixture(t, echoAgents)
	f.prepare = func(e execution.Execution) (execution.Execution, *execution.Fault) {
		problem := policy.Apply(&e)
		return e, problem
	}
	long := strings.Repeat("word ", 100)
	a := f.run(prompt(func(p *execution.Prompt) { p.Message = long }))
	if a.record.Status != execution.Success || a.record.Input != nil || a.record.Output != nil || a.last["output"] != "You said: "+long {
		t.Errorf("got %+v", a.record)
	}
	f.prepare = func(e execution.Execution) (execution.Execution, *execution.Fault) {
		if e.Output != nil || e.Duration > 0 {
			return e, &execution.Fault{Code: "bad", Field: "everything"}
		}
		return e, nil
	}
	if a := f.run(prompt()); a.record.Status != execution.Success {
		t.Errorf("what the ledger will refuse is recorded as it is: got %+v", a.record)
	}
}

func TestUnwritableRecordDoesNotDelayResponse(t *testing.T) {
	t.Parallel()
	f := newFixture(t, echoAgents, func(o *gateway.Options) { o.Log = zap.NewNop() })
	f.fail = errors.New("disk full")
	run, err := f.Start(prompt())
	if err != nil {
		t.Fatal(err)
	}
	var last string
	run.Stream(t.Context(), func(e execution.Event) error { last = e.Name; return nil })
	if last != "completed" || f.reserved != 0 || f.Running() != 0 {
		t.Errorf("want the answer completed and nothing left, got %s, %d reservations, %d runs", last, f.reserved, f.Running())
	}
}

// With a real spool: runs reported as completed are there for the next process, and the ledger accepts them.
func TestRunsSurviveInTheSpool(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	openSpool := func() *spool.Spool {
		s, err := spool.Open(spool.Options{Dir: dir, Log: zap.NewNop(), Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := openSpool()
	f := newFixture(t, echoAgents, func(o *gateway.Options) { o.Recorder = gateway.SpoolRecorder(s, prepare()) })
	for _, options := range []string{`{}`, `{"fail":"no"}`} {
		run, err := f.Start(prompt(withOptions(options)))
		if err != nil {
			t.Fatal(err)
		}
		run.Stream(t.Context(), func(execution.Event) error { return nil })
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Start(prompt()); !errors.Is(err, fault.ErrUnavailable) {
		t.Errorf("start without a spool: want %v, got %v", fault.ErrUnavailable, err)
	}
	s = openSpool()
	var delivered []execution.Execution
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_ = s.Run(ctx, func(_ context.Context, b execution.Batch) (execution.Outcome, error) {
		delivered = append(delivered, b.Executions...)
		return execution.Outcome{Accepted: len(b.Executions)}, nil
	})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if len(delivered) != 2 || delivered[0].Status != execution.Success || delivered[1].Status != execution.Failure {
		t.Errorf("delivered: got %+v", delivered)
	}
	if again, problem := prepare()(delivered[0]); problem != nil || !cmp.Equal(again, delivered[0]) {
		t.Errorf("preparing again must change nothing: %v\n%s", problem, cmp.Diff(delivered[0], again))
	}
}

// The response's events are strict JSON.
func TestEventsAreJSON(t *testing.T) {
	t.Parallel()
	url := serve(t, stream(chunk("a\u2028<b>"), finish, done))
	a := newFixture(t, openAIAgents(url)).run(prompt())
	if _, err := json.Marshal(a.last); err != nil || a.last["cost_usd"] != nil {
		t.Errorf("completed: want no cost without tokens, got %v, %v", a.last, err)
	}
	if _, there := a.last["cost_usd"]; !there {
		t.Error("completed: an unknown cost must be null, not missing")
	}
}
