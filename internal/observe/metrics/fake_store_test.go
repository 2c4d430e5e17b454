package metrics

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// fakeStore stores rollups as the database does: one row for each minute, overwritten.
type fakeStore struct {
	mu      sync.Mutex
	minutes map[time.Time]MinuteRollup
	writes  []int                       // minutes in each write
	before  func(context.Context) error // the rollups are stored
	after   func() error                // the rollups are stored
}

func (s *fakeStore) WriteRollups(ctx context.Context, rollups Rollups) error {
	s.mu.Lock()
	before, after := s.before, s.after
	s.mu.Unlock()
	if before != nil {
		if err := before(ctx); err != nil {
			return err
		}
	}
	if rollups.Replica != "r1" || !slices.IsSortedFunc(rollups.Minutes, func(a, b MinuteRollup) int { return a.Minute.Compare(b.Minute) }) {
		return fmt.Errorf("replica %q, or minutes that do not ascend", rollups.Replica)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writes = append(s.writes, len(rollups.Minutes))
	for _, m := range rollups.Minutes {
		s.minutes[m.Minute] = m
	}
	if after != nil {
		return after()
	}
	return nil
}

// behave sets the function called before rollups are stored, and removes the one called after.
func (s *fakeStore) behave(before func(context.Context) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before, s.after = before, nil
}

func (s *fakeStore) minute(m int) MinuteRollup {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.minutes[minuteAt(m)]
}

func (s *fakeStore) count() (minutes int, writes []int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.minutes), slices.Clone(s.writes)
}

// requests returns the number of requests in the minute at m minutes past twelve.
func (s *fakeStore) requests(m int) (n int64) {
	for _, r := range s.minute(m).Requests {
		for _, count := range r.ByStatus {
			n += count
		}
	}
	return n
}

func (s *fakeStore) covered(m int) time.Duration { return s.minute(m).Covered }

func minuteAt(m int) time.Time {
	return epoch.Truncate(time.Minute).Add(time.Duration(m) * time.Minute)
}
