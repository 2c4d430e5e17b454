package history

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/execution/ledger"
	"github.com/watchbill/watchbill/internal/execution/prices"
)

const (
	batchRows = 2000 // of executions that are stored together
	writers   = 2    // of batches at a time
)

// quiet is a ledger's observer. The executions are of the past, so they are in no metrics of the present.
type quiet struct{}

func (quiet) Observe([]execution.Execution)           {}
func (quiet) ObserveCommit(int, time.Duration, error) {}
func (quiet) ObserveRows(_, _, _, _ int)              {}
func (quiet) ObserveErased(int)                       {}

// writeExecutions stores the executions by a ledger, as clients' executions are, and returns their number. The ledger
// ignores those that an interrupted call has stored.
func (w *writer) writeExecutions(ctx context.Context) (int64, error) {
	l := ledger.New(ledger.Options{
		Store: w.store, Prices: func() *prices.List { return w.opts.Prices }, Observer: quiet{}, Payloads: execution.PayloadPolicy{Max: 64 << 10},
		Keep: w.opts.Keep.Executions + time.Hour, Log: w.opts.Log, Now: w.opts.Now, MaxRows: ledger.DefaultRows, MaxBytes: ledger.DefaultBytes,
	})
	running, stop := context.WithCancel(ctx)
	defer stop()
	var run errgroup.Group
	run.Go(func() error { return l.Run(running) })
	work, working := errgroup.WithContext(ctx)
	work.SetLimit(writers)
	m := newMaker(w.plan)
	var total, said int64
	store := func(batch []execution.Execution) {
		work.Go(func() error { return store(working, l, batch) })
	}
	var batch []execution.Execution
	for _, s := range w.plan.slots() {
		if working.Err() != nil {
			break
		}
		batch = m.add(batch, s)
		total += s.count
		if len(batch) >= batchRows {
			store(batch)
			batch = nil
		}
		if total-said >= 100_000 {
			said = total
			w.logf("%d of %d executions", total, w.plan.executions)
		}
	}
	if len(batch) > 0 {
		store(batch)
	}
	err := work.Wait()
	stop()
	if stopped := run.Wait(); err == nil && ctx.Err() == nil {
		err = stopped
	}
	return total, err
}

// store appends a batch, in parts.
func store(ctx context.Context, l *ledger.Ledger, batch []execution.Execution) error {
	for len(batch) > 0 {
		n := min(len(batch), 2*batchRows)
		outcome, err := l.Append(ctx, execution.Batch{Executions: batch[:n:n]})
		if err != nil {
			return err
		}
		if len(outcome.Rejected) > 0 {
			first := outcome.Rejected[0]
			return fmt.Errorf("%d executions were rejected; the first: %s: %s", len(outcome.Rejected), first.Code, first.Detail)
		}
		batch = batch[n:]
	}
	return nil
}

// maker makes executions.
type maker struct {
	plan  plan
	users int
	r     *rand.Rand
	slot  slot
	to    []execution.Execution
	left  int64 // executions of the slot that are still to be made
}

func newMaker(p plan) *maker {
	return &maker{plan: p, users: min(max(25, int(p.executions/400)), 5000)}
}

// add appends the executions of a slot, which depend on the plan and the slot only.
func (m *maker) add(to []execution.Execution, s slot) []execution.Execution {
	m.r, m.slot, m.to, m.left = m.plan.random("executions", s.number), s, to, s.count
	for m.left > 0 {
		m.request()
	}
	return m.to
}

// request makes a request: a single call, or an agent's run with its calls and tool uses.
func (m *maker) request() {
	at := m.slot.from.Add(time.Duration(m.r.Int64N(int64(m.slot.to.Sub(m.slot.from))))).Truncate(time.Microsecond)
	agent := m.agent(at)
	user := m.user(at)
	e := execution.Execution{
		UserID: fmt.Sprintf("user-%04d", user), AgentName: agent.name, CreatedAt: at, RequestID: "req-" + m.hex(8), Request: true, Status: execution.Success,
		// A user's session lasts up to half an hour.
		SessionID: fmt.Sprintf("session-%04d-%d", user, at.Unix()/1800),
	}
	if agent.steps == 0 || m.left < 3 {
		m.call(&e, agent)
		e.ID = m.hex(16)
		m.append(e)
		return
	}
	m.run(e, agent)
}

func (m *maker) append(e execution.Execution) {
	m.to = append(m.to, e)
	m.left--
}

// run makes an agent's run with its steps.
func (m *maker) run(e execution.Execution, agent *aiAgent) {
	e.Kind, e.TraceID, e.SpanID = execution.Agent, m.hex(16), m.hex(8)
	e.ID = e.TraceID + "-" + e.SpanID
	topic := agent.topics[m.r.IntN(len(agent.topics))]
	e.Input, e.Output = payload("question", topic), payload("answer", "Here is what I found about it: see the steps.")
	begins := e.CreatedAt.Add(time.Duration(5+m.r.IntN(40)) * time.Millisecond)
	steps := min(int64(2+m.r.IntN(agent.steps-1)), m.left-1)
	root := len(m.to)
	m.append(e)
	for i := range steps {
		step := execution.Execution{
			UserID: e.UserID, SessionID: e.SessionID, RequestID: e.RequestID, AgentName: e.AgentName, CreatedAt: begins,
			TraceID: e.TraceID, SpanID: m.hex(8), ParentSpanID: e.SpanID, Status: execution.Success,
		}
		step.ID = step.TraceID + "-" + step.SpanID
		if i%2 == 1 && i != steps-1 {
			m.tool(&step, agent)
		} else {
			m.call(&step, agent)
		}
		m.append(step)
		begins = begins.Add(step.Duration + time.Duration(1+m.r.IntN(20))*time.Millisecond)
		if step.Status != execution.Success {
			e.Status, e.ErrorMessage, e.Output = step.Status, failedBelow+": "+step.ErrorMessage, nil
			break
		}
	}
	e.Duration = begins.Sub(e.CreatedAt)
	m.to[root] = e
}

func (m *maker) tool(e *execution.Execution, agent *aiAgent) {
	tool := agent.tools[m.r.IntN(len(agent.tools))]
	e.Kind, e.Duration = execution.Tool, time.Duration(30+m.r.IntN(900))*time.Millisecond
	e.Input, e.Output = payload("tool", tool), payload("found", fmt.Sprint(m.r.IntN(20)))
}

// call makes a model's call.
func (m *maker) call(e *execution.Execution, agent *aiAgent) {
	c := agent.calls[min(m.r.IntN(len(agent.calls)+1), len(agent.calls)-1)]
	e.Kind, e.Provider, e.Model = execution.Inference, c.provider, c.model
	e.Input = payload("message", agent.topics[m.r.IntN(len(agent.topics))])
	seconds := c.seconds * (0.3 + 0.7*math.Pow(m.r.ExpFloat64(), 1.2))
	failing := agent.failing
	if c.provider == "anthropic" && m.plan.outage(e.CreatedAt) {
		failing, seconds = 0.45, seconds*2.5
	}
	e.Duration = time.Duration(seconds*1e6) * time.Microsecond
	in := c.input/4 + m.r.Int64N(2*c.input)
	e.Tokens = execution.Tokens{Input: in, CacheRead: in * m.r.Int64N(4) / 8}
	if m.r.Float64() < failing {
		m.fail(e, failing > agent.failing)
		return
	}
	e.Tokens.Output = 1 + m.r.Int64N(2*c.output)
	e.Output = payload("answer", "It depends on the light, the water and the carbon dioxide that the plant gets.")
}

// fail makes a call a failed one.
func (m *maker) fail(e *execution.Execution, outage bool) {
	e.Status, e.ErrorMessage, e.Tokens = execution.Failure, mistakes[min(m.r.IntN(9), m.r.IntN(len(mistakes)))], execution.Tokens{}
	switch {
	case outage:
		e.ErrorMessage = overloaded
	case m.r.IntN(5) == 0:
		e.Status, e.ErrorMessage, e.Duration = execution.Timeout, noAnswer, 30*time.Second
	}
}

// agent returns an agent that is in use at a time.
func (m *maker) agent(at time.Time) *aiAgent {
	progress, total := m.plan.progress(at), 0.0
	for i := range aiAgents {
		if aiAgents[i].since <= progress {
			total += aiAgents[i].weight
		}
	}
	n := m.r.Float64() * total
	for i := range aiAgents {
		if a := &aiAgents[i]; a.since <= progress {
			if n -= a.weight; n < 0 {
				return a
			}
		}
	}
	return &aiAgents[0]
}

// user returns the number of a user. Some are much more active than others, and some came later than others.
func (m *maker) user(at time.Time) int {
	users := float64(m.users) * (0.4 + 0.6*m.plan.progress(at))
	return 1 + int(users*math.Pow(m.r.Float64(), 2))
}

func (m *maker) hex(bytes int) string {
	var b [16]byte
	for i := range bytes {
		b[i] = byte(m.r.Uint32())
	}
	return hex.EncodeToString(b[:bytes])
}

// payload returns a JSON object of one field.
func payload(name, value string) json.RawMessage {
	return json.RawMessage(fmt.Sprintf(`{%q: %q}`, name, value))
}
