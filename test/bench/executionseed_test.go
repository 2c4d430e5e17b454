package main

import (
	"testing"
	"time"

	"github.com/watchbill/watchbill/internal/execution"
)

// TestHistory checks that executions ascend within the history and that its days have no gaps or overlaps.
func TestHistory(t *testing.T) {
	t.Parallel()
	for _, rows := range []int64{1, 7, 1000, 10_000_000} {
		h := newHistory(rows, historyDays, time.Date(2026, 3, 31, 17, 23, 59, 0, time.UTC))
		for _, n := range []int64{0, rows / 3, rows - 1} {
			if at := h.at(n); at.Before(h.from) || !at.Before(h.to) || h.before(at) != n || h.before(at.Add(time.Microsecond)) != n+1 {
				t.Errorf("of %d the one after %d begins at %s, where there are %d before", rows, n, at, h.before(at))
			}
		}
		day, seen := h.from.Truncate(execution.DayWide), int64(0)
		for ; day.Before(h.to); day = day.AddDate(0, 0, 1) {
			seen += h.before(day.AddDate(0, 0, 1)) - h.before(day)
		}
		if seen != rows {
			t.Errorf("the days have %d of %d", seen, rows)
		}
	}
}

// TestRecreated checks that an execution generated again is equal.
func TestRecreated(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for n := range int64(2000) {
		one, other := made("x", n, at), made("x", n, at)
		if string(appendCopy(nil, &one)) != string(appendCopy(nil, &other)) {
			t.Fatalf("the %d-th is %+v, and then %+v", n, one, other)
		}
		if fault := one.Check(execution.Acceptance{Now: at, Keep: time.Hour}); fault != nil {
			t.Fatalf("the %d-th is none: %v", n, fault)
		}
	}
}
