package agent

import (
	"context"
	"sync"
)

// dispatch runs offered deployments, oldest first, at most Config.Concurrency at once, until polling is done. It then waits
// for the running ones, which end by the time working is done.
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

// ending is a finished run. It is settled unless it is unknown whether the attempt could be claimed.
type ending struct {
	work    Work
	settled bool
}

// board tracks which deployments are offered, running, and already tried.
type board struct {
	slots   int
	offered []Work
	running map[string]bool     // by deployment: attempts of one never overlap
	tried   map[attemptKey]bool // a stale response may offer them again
}

type attemptKey struct {
	id      string
	attempt int32
}

func newBoard(slots int) *board {
	return &board{slots: slots, running: map[string]bool{}, tried: map[attemptKey]bool{}}
}

// offer replaces the offers, and forgets tried attempts that are no longer offered.
func (b *board) offer(work []Work) {
	tried := map[attemptKey]bool{}
	for _, w := range work {
		if b.tried[w.key()] {
			tried[w.key()] = true
		}
	}
	b.offered, b.tried = work, tried
}

// take returns the oldest deployment that may start now and marks it as running.
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
