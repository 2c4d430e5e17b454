package postgres

import "sync"

// The agents of a token that is at least tallySlack below its limit are counted only at every tallyEvery-th enrollment,
// since counting many is slow. Each replica can thus exceed a limit above tallySlack by up to tallyEvery agents.
const (
	tallySlack = 1000
	tallyEvery = 100
	maxTallies = 1000
)

// tally caches the number of agents enrolled by each enrollment token.
type tally struct {
	mu sync.Mutex
	of map[string]*tallied // by the token's fingerprint
}

type tallied struct {
	agents int64 // as last counted
	since  int64 // enrollments on this replica since then
}

// farFrom reports whether a token is far enough below its limit to enroll an agent without counting, and
// if so records the enrollment.
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
