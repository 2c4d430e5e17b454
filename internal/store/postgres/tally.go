package postgres

import "sync"

// A token that is tallySlack agents or more below its limit has them counted at every tallyEvery-th enrolment only: to count
// many takes long. So a limit above tallySlack can be passed by tallyEvery agents for each replica.
const (
	tallySlack = 1000
	tallyEvery = 100
	maxTallies = 1000
)

// tally remembers how many agents the enrollment tokens have enrolled.
type tally struct {
	mu sync.Mutex
	of map[string]*tallied // by fingerprint
}

type tallied struct {
	agents int64 // when they were counted
	since  int64 // enrolments here since
}

// farFrom reports whether one more agent of a token needs no count, and notes it.
func (t *tally) farFrom(limit int, fingerprint string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	known := t.of[fingerprint]
	if known == nil || known.agents+tallySlack > int64(limit) || known.since >= tallyEvery {
		return false
	}
	known.since++
	return true
}

func (t *tally) counted(fingerprint string, agents int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.of == nil || len(t.of) >= maxTallies {
		t.of = map[string]*tallied{}
	}
	t.of[fingerprint] = &tallied{agents: agents}
}
