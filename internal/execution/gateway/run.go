package gateway

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/text"
)

// run is one run of an agent.
type run struct {
	g           *Gateway
	agent       *agent
	prompt      execution.Prompt
	options     map[string]json.RawMessage
	reservation Reservation
	execution   execution.Execution // as known when the run begins
	streamed    atomic.Bool
	left        atomic.Bool // the client left and the upstream is read on
}

// answer is the result of a run, as returned by an agent's kind.
type answer struct {
	output json.RawMessage // the answer if it is JSON; nil if it was relayed as text
	finish string          // the model's finish reason
	// As reported by the upstream; may be empty.
	model, provider string
	used            used
}

// result is the outcome of a run.
type result struct {
	answer
	text string // the whole answer
	err  error  // nil if it succeeded
}

// Stream implements execution.Run.
func (r *run) Stream(ctx context.Context, emit func(execution.Event) error) {
	if r.streamed.Swap(true) {
		return
	}
	defer r.g.running.Add(-1)
	defer r.reservation.Release()

	upstream := ctx
	if r.agent.drains { // the upstream's request is not cancelled when the client leaves
		upstream = context.WithoutCancel(ctx)
	}
	limited, stop := context.WithTimeoutCause(upstream, r.agent.timeout, timedOut("timeout", "the agent did not finish within %s", text.Duration(r.agent.timeout)))
	defer stop()
	running, cancel := context.WithCancelCause(limited)
	defer cancel(nil)

	parts, ended := make(chan string), make(chan result, 1)
	var working sync.WaitGroup
	working.Go(func() { r.work(running, cancel, parts, ended) })
	defer working.Wait()

	var left, stopped bool
	out := &outlet{emit: emit, every: r.g.opts.Heartbeat, beat: time.NewTimer(r.g.opts.Heartbeat), lost: func() { left = true }, log: r.g.opts.Log}
	defer out.beat.Stop()
	out.send(r.started())
	ending, stopping := r.watched(ctx)
	for {
		switch {
		case left && r.agent.drains && !stopped:
			r.left.Store(true)
		case left:
			cancel(errGone)
		}
		select {
		case <-ending:
			ending = nil
			if cause := context.Cause(ctx); errors.Is(cause, context.Canceled) {
				left, out.gone = true, true // the upstream is read on without a client
			} else {
				cancel(cause)
			}
		case <-stopping:
			stopping, stopped = nil, true
		case text := <-parts:
			out.send(deltaEvent(text))
		case <-out.beat.C:
			out.send(execution.Event{})
		case done := <-ended:
			if left && r.agent.drains && done.err == nil {
				done.err = errGone
			}
			out.send(r.finish(running, done))
			return
		}
	}
}

// watched returns the channels that end the run of an agent whose upstream is read on after its client left. For other
// agents, whose requests use ctx, they are nil.
func (r *run) watched(ctx context.Context) (ending, stopping <-chan struct{}) {
	if !r.agent.drains {
		return nil, nil
	}
	return ctx.Done(), r.g.stopping
}

// outlet sends events to the client until that fails.
type outlet struct {
	emit  func(execution.Event) error
	every time.Duration
	beat  *time.Timer // fires for the next heartbeat
	lost  func()
	gone  bool
	log   *zap.Logger
}

func (o *outlet) send(event execution.Event) {
	if o.gone {
		return
	}
	if err := o.tryTo(event); err != nil {
		o.gone = true
		o.lost()
	}
	o.beat.Reset(o.every)
}

func (o *outlet) tryTo(event execution.Event) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
			o.log.Error("handing on an event panicked", zap.Any("panic", p), zap.ByteString("stack", debug.Stack()))
		}
	}()
	return o.emit(event)
}

// work runs the agent's kind and reports its result. It then reads the rest of the response for up to drainWithin, so that
// the connection can be reused.
func (r *run) work(ctx context.Context, cancel context.CancelCauseFunc, parts chan<- string, ended chan<- result) {
	c := &call{
		ctx: ctx, cancel: cancel, client: r.g.client, id: r.execution.ID, traceparent: traceparent(r.execution),
		prompt: r.prompt, options: r.options, now: r.g.opts.Now, parts: parts, limit: r.g.opts.MaxOutput,
		idle: time.AfterFunc(time.Hour, func() {
			cancel(timedOut("idle_timeout", "the upstream sent nothing for %s", text.Duration(r.agent.idle)))
		}),
		patience: r.agent.idle, left: &r.left,
	}
	c.idle.Stop()
	defer c.release()
	ended <- r.try(c)
}

func (r *run) try(c *call) (done result) {
	defer func() {
		if p := recover(); p != nil {
			done.err = errDefect
			r.g.opts.Log.Error("a run panicked", zap.String("execution_id", r.execution.ID),
				zap.String("agent", r.agent.name), zap.Any("panic", p), zap.ByteString("stack", debug.Stack()))
		}
		done.text = c.output.String()
	}()
	done.answer, done.err = r.agent.kind.run(c)
	return done
}

// finish records the run and returns its last event.
func (r *run) finish(ctx context.Context, done result) execution.Event {
	e := r.execution
	e.Duration = max(r.g.opts.Now().Sub(e.CreatedAt), 0).Truncate(time.Microsecond)
	secrets := r.agent.kind.secrets()
	done.finish = withoutSecrets(done.finish, secrets)
	e.Model = cmp.Or(asName(withoutSecrets(done.model, secrets), execution.MaxName), e.Model)
	e.Provider = cmp.Or(asName(withoutSecrets(done.provider, secrets), execution.MaxProvider), e.Provider)
	e.Input, e.Output = inputOf(r.prompt), outputOf(done)
	var fault *failure
	if done.err != nil {
		fault = failureOf(ctx, done.err, secrets)
		e.Status, e.ErrorMessage = fault.status, clean(fault.message)
	}
	r.account(&e, &done, fault)
	e = r.prepare(e)
	if err := r.reservation.Append(e); err != nil {
		r.g.opts.Log.Error("a run's record may be lost", zap.String("execution_id", e.ID), zap.Error(err))
	}
	return last(e, done, fault)
}

// usageUnknown is the price version of a run whose upstream reported more tokens than the maximum. Such a run has no tokens
// and no cost.
const usageUnknown = "usage-unknown"

// reportUsage counts and logs a run of unknown usage.
func (g *Gateway) reportUsage(agent, executionID string) {
	if g.opts.UsageUnknown != nil {
		g.opts.UsageUnknown()
	}
	g.opts.Log.Warn("an upstream reports more tokens for a run than the limit; they are recorded as unknown",
		zap.String("agent", agent), zap.String("execution_id", executionID), zap.Int("limit", execution.MaxTokens))
}

// inputOf returns a run's input as recorded.
func inputOf(p execution.Prompt) json.RawMessage {
	return encode(struct {
		Type    string          `json:"type"`
		Message string          `json:"message"`
		Options json.RawMessage `json:"options,omitempty"`
	}{p.Type, p.Message, p.Options})
}

// outputOf returns a run's output as recorded: the agent's JSON, or its text.
func outputOf(done result) json.RawMessage {
	switch {
	case done.output != nil:
		return done.output
	case done.text == "" && done.err != nil:
		return nil
	}
	return encode(struct {
		Text    string `json:"text"`
		Partial bool   `json:"partial,omitempty"`
		Finish  string `json:"finish_reason,omitempty"`
	}{done.text, done.err != nil, done.finish})
}

// prepare returns the execution as recorded. If its input and output are rejected it is recorded without them, since the
// run has happened and has its cost.
func (r *run) prepare(e execution.Execution) execution.Execution {
	prepared, fault := r.tryToPrepare(e)
	if fault == nil {
		return prepared
	}
	r.g.opts.Log.Warn("a run is recorded without its input and output",
		zap.String("execution_id", e.ID), zap.String("code", fault.Code), zap.Error(fault))
	e.Input, e.Output = nil, nil
	if prepared, fault = r.tryToPrepare(e); fault != nil {
		r.g.opts.Log.Error("a run's record will be rejected", zap.String("execution_id", e.ID), zap.String("code", fault.Code), zap.Error(fault))
		return e
	}
	return prepared
}

func (r *run) tryToPrepare(e execution.Execution) (prepared execution.Execution, fault *execution.Fault) {
	defer func() {
		if p := recover(); p != nil {
			r.g.opts.Log.Error("preparing a run's record panicked", zap.Any("panic", p), zap.ByteString("stack", debug.Stack()))
			fault = &execution.Fault{Code: "internal", Field: "execution", Detail: "preparing it panicked"}
		}
	}()
	return r.g.opts.Recorder.Prepare(e)
}

// encode returns the JSON of a value that always has one.
func encode(v any) json.RawMessage {
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil
	}
	return json.RawMessage(strings.TrimSuffix(b.String(), "\n"))
}
