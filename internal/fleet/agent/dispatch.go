package agent

import (
	"context"
	"sync"
)

// dispatch runs what is offered, oldest first and a bounded number at once, until polling ends; then it waits for what
// is running, which working bounds.
func (a *Agent) dispatch(polling, working context.Context, offers <-chan []Work) {
	board := newBoard(a.cfg.Concurrency)
	ended := make(chan ending, a.cfg.Concurrency)
	var running sync.WaitGroup
	defer running.Wait()
	for {
		select {
		case <-polling.Done():
			return
		case work := <-offers:
			board.offer(work)
		case e := <-ended:
			board.end(e)
		}
		for w, ok := board.take(); ok; w, ok = board.take() {
			running.Go(func() {
				ended <- ending{work: w, settled: a.newRun(w).do(polling, working)}
			})
		}
	}
}

// ending is a run that is over. It is settled unless the server could not be asked whether the attempt may be run.
type ending struct {
	work    Work
	settled bool
}

// board knows what is offered, what runs and what need not be tried again.
type board struct {
	slots   int
	offered []Work
	running map[string]bool     // by deployment: an attempt never overlaps the one before it
	tried   map[attemptKey]bool // an answer that is behind may offer them once more
}

type attemptKey struct {
	id      string
	attempt int32
}

func newBoard(slots int) *board {
	return &board{slots: slots, running: map[string]bool{}, tried: map[attemptKey]bool{}}
}

// offer replaces what was offered. What is no longer offered need not be remembered as tried.
func (b *board) offer(work []Work) {
	tried := map[attemptKey]bool{}
	for _, w := range work {
		if b.tried[w.key()] {
			tried[w.key()] = true
		}
	}
	b.offered, b.tried = work, tried
}

// take gives the oldest that may start now, and counts it as running.
func (b *board) take() (Work, bool) {
	if len(b.running) >= b.slots {
		return Work{}, false
	}
	for _, w := range b.offered {
		if b.running[w.ID] || b.tried[w.key()] {
			continue
		}
		b.running[w.ID] = true
		b.tried[w.key()] = true
		return w, true
	}
	return Work{}, false
}

func (b *board) end(e ending) {
	delete(b.running, e.work.ID)
	if !e.settled {
		delete(b.tried, e.work.key())
	}
}
