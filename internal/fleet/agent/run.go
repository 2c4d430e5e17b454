package agent

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/pause"
	"github.com/watchbill/watchbill/internal/text"
)

const (
	progressEvery = 10 * time.Second // minimum time between progress reports
	flushWithin   = 30 * time.Second // to send the rest of the log once the command has ended
	finishWithin  = 10 * time.Second // to report the outcome when the agent must stop
	maxMisplaced  = 5                // consecutive chunks rejected for their offset
	messageBytes  = 4 << 10          // the server's limit
)

var (
	errLost     = errors.New("the attempt is another run's")
	errStopping = errors.New("the agent was stopped")
)

// run is one attempt, from its claim to its final report.
type run struct {
	*Agent
	work  Work
	claim string
	out   *output
	log   *zap.Logger

	heldUntil time.Time // when the lease ends unless renewed, by the agent's clock
}

func (a *Agent) newRun(w Work) *run {
	return &run{
		Agent: a, work: w, claim: a.cfg.NewClaim(), out: newOutput(),
		log: a.log.With(zap.String("deployment_id", w.ID), zap.Int32("attempt", w.Attempt)),
	}
}

// do claims the attempt, runs it and reports its outcome. polling bounds the claim and working the command. It returns
// false if it is unknown whether the attempt could be claimed.
func (r *run) do(polling, working context.Context) (settled bool) {
	talking, hangUp := context.WithCancel(context.WithoutCancel(working))
	defer hangUp()
	if err := r.take(polling, working); err != nil {
		r.log.Info("not claimed", zap.Error(err))
		if !isFinal(err) && polling.Err() != nil {
			r.release(talking)
		}
		return isFinal(err)
	}
	// When the agent must stop, finishWithin is left to report the outcome.
	release := context.AfterFunc(working, func() {
		select {
		case <-r.out.ended:
		case <-talking.Done():
		}
		if pause.For(talking, finishWithin) {
			hangUp()
		}
	})
	defer release()

	r.log.Info("running", zap.String("name", r.work.Name))
	err := r.workAndRenew(working, talking)
	if errors.Is(err, errLost) {
		r.log.Warn("stopped", zap.Error(err))
		return true
	}
	if err != nil && working.Err() != nil {
		err = fmt.Errorf("%w: %s", errStopping, err.Error()) // the attempt is retried, whatever the error
	}
	r.finish(talking, err)
	return true
}

// take claims the attempt. A claim whose response is lost may have been recorded, so it is repeated for as long as the
// lease would last.
func (r *run) take(polling, working context.Context) error {
	trying, cancel := context.WithTimeout(polling, r.work.lease())
	defer cancel()
	return r.persist(trying, func() error { return r.renewOnce(working, nil) })
}

// release abandons an attempt that may have been claimed although the response was lost, so that other agents need not
// wait for the lease to expire. If it was not claimed, the report is rejected and changes nothing.
func (r *run) release(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, finishWithin)
	defer cancel()
	if err := r.client.report(ctx, r.work.ID, r.failed(errStopping)); err != nil {
		r.log.Info("the claim was not released", zap.Error(err))
	}
}

// workAndRenew runs the command, renews the lease and sends the output. It renews until all output is sent.
func (r *run) workAndRenew(working, talking context.Context) error {
	doing, stop := context.WithCancelCause(working)
	defer stop(nil)
	renewing, stopRenewing := context.WithCancel(talking)
	defer stopRenewing()
	sending, stopSending := context.WithCancel(talking)
	defer stopSending()

	var renewer, sender sync.WaitGroup
	renewer.Go(func() {
		if err := r.renew(renewing); err != nil {
			stop(err)
			stopSending()
		}
	})
	sender.Go(func() { r.sendLog(sending) })

	err := r.cfg.Runner.Run(doing, r.work, r.out)
	r.out.close()
	flush := time.AfterFunc(flushWithin, stopSending)
	hurry := context.AfterFunc(working, func() { // half of the remaining time; the report needs the rest
		if pause.For(sending, finishWithin/2) {
			stopSending()
		}
	})
	sender.Wait()
	flush.Stop()
	hurry()
	stopRenewing()
	renewer.Wait()
	if cause := context.Cause(doing); errors.Is(cause, errLost) {
		return cause
	}
	return err
}

// renew renews the lease until ctx is done, or returns errLost. It reports progress with the renewals, which come earlier if
// there is any.
func (r *run) renew(ctx context.Context) error {
	every := r.work.lease() / 3
	tick := min(every, progressEvery)
	wait, renewed, failures := tick, r.cfg.Now(), 0
	var reported *progress
	for pause.For(ctx, wait) {
		wait = tick
		latest := r.out.latest()
		if failures == 0 && latest == reported && r.cfg.Now().Sub(renewed) < every {
			continue
		}
		err := r.renewOnce(ctx, latest)
		switch {
		case err == nil:
			renewed, reported, failures = r.cfg.Now(), latest, 0
		case isFinal(err) && isStatus(err, http.StatusConflict, http.StatusNotFound):
			return fmt.Errorf("%w: %w", errLost, err)
		case ended(ctx):
			return nil
		default:
			// Never wait longer than until the next renewal.
			wait = min(r.delay(failures, maxDelay, err), every)
			failures++
			r.log.Warn("renewing the lease failed", zap.Error(err), zap.Int("failures", failures), zap.Duration("retry_in", wait))
		}
	}
	return nil
}

// renewOnce claims or renews.
func (r *run) renewOnce(ctx context.Context, p *progress) error {
	sent := r.cfg.Now()
	report := r.report(openapi.StatusReportStatusRunning)
	if p != nil {
		report.Progress, report.Message = &p.percent, p.message
	}
	if err := r.client.report(ctx, r.work.ID, report); err != nil {
		return err
	}
	r.heldUntil = sent.Add(r.work.lease())
	return nil
}

// sendLog sends the output in order until all is sent or ctx is done.
func (r *run) sendLog(ctx context.Context) {
	misplaced := 0
	for {
		at, chunk, ok := r.out.next(ctx)
		if !ok {
			return
		}
		var stored int64
		err := r.persist(ctx, func() (err error) {
			stored, err = r.client.appendLog(ctx, r.work, at, chunk)
			return err
		})
		var refused *refusal
		switch {
		case err == nil:
			misplaced = 0
		case errors.As(err, &refused) && refused.Status == http.StatusConflict && refused.NextOffset != nil && misplaced < maxMisplaced:
			misplaced++
			stored = *refused.NextOffset
		default:
			r.out.discard()
			if ctx.Err() == nil {
				r.log.Warn("stopped sending the log", zap.Error(err))
			}
			return
		}
		r.out.stored(stored)
	}
}

// finish reports the outcome. It retries until the lease ends.
func (r *run) finish(ctx context.Context, failure error) {
	report := r.report(openapi.StatusReportStatusSucceeded)
	if failure != nil {
		report = r.failed(failure)
	} else if p := r.out.latest(); p != nil {
		report.Progress, report.Message = &p.percent, p.message
	}
	report.Output = r.out.end()
	// At least once, even if late: the server decides whether the lease has ended.
	trying, cancel := context.WithTimeout(ctx, max(r.heldUntil.Sub(r.cfg.Now()), time.Second))
	defer cancel()
	err := r.persist(trying, func() error { return r.client.report(ctx, r.work.ID, report) })
	log := r.log.With(zap.String("status", string(report.Status)), zap.NamedError("failure", failure))
	if err != nil {
		log.Error("finished, but the server does not know", zap.Error(err))
		return
	}
	log.Info("finished")
}

// persist calls send until it succeeds, fails with a final error, or ctx is done. It tries several times within a lease.
func (r *run) persist(ctx context.Context, send func() error) error {
	for failures := 0; ; failures++ {
		err := send()
		if err == nil || isFinal(err) || ctx.Err() != nil {
			return err
		}
		wait := r.delay(failures, min(maxDelay, r.work.lease()/6), err)
		r.log.Warn("trying again", zap.Error(err), zap.Int("failures", failures+1), zap.Duration("retry_in", wait))
		if !pause.For(ctx, wait) {
			return err
		}
	}
}

func (r *run) report(status openapi.StatusReportStatus) openapi.StatusReport {
	return openapi.StatusReport{Attempt: r.work.Attempt, Claim: r.claim, Status: status}
}

func (r *run) failed(failure error) openapi.StatusReport {
	report := r.report(openapi.StatusReportStatusFailed)
	retryable := !isPermanent(failure)
	report.Retryable = &retryable
	report.Message = text.Cut(cleanText(failure.Error()), messageBytes)
	return report
}
