package postgres

import (
	"context"
	"time"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/report"
)

// Measurements reads all rollups: the replicas' own measurements and the totals of executions.
type Measurements struct {
	*Rollups
	Executions *Executions
}

// Facts returns the measurements of a window. Only the requested parts are read.
func (m Measurements) Facts(ctx context.Context, w report.Window, parts report.Parts) (report.Facts, error) {
	f, err := m.Rollups.Facts(ctx, w, parts)
	if err != nil {
		return f, err
	}
	for _, read := range []struct {
		wanted bool
		do     func(context.Context, *report.Facts) error
	}{
		{parts.Executions, m.readExecutions},
		{parts.Days, m.readDays},
		{parts.Users, m.readUsers},
		{parts.Steps, m.readSteps},
	} {
		if !read.wanted {
			continue
		}
		if err := read.do(ctx, &f); err != nil {
			return f, err
		}
	}
	return f, nil
}

func (m Measurements) readExecutions(ctx context.Context, f *report.Facts) error {
	facts, err := m.Executions.Facts(ctx, execution.Window(f.Window))
	f.Executions = facts.Cells
	return err
}

// readDays reads the spend of each UTC day of the window, and of the part of its first day before the window. The
// window is widened to whole buckets that are kept, as in Executions.Facts.
func (m Measurements) readDays(ctx context.Context, f *report.Facts) error {
	w := m.Executions.kept.since(m.Executions.now()).Align(execution.Window(f.Window))
	first := w.From.Truncate(execution.DayWide)
	const before = "" // the part before the window
	parts := []part{{before, execution.Window{From: first, To: w.From}}}
	for day := first; day.Before(w.To); day = day.Add(execution.DayWide) {
		parts = append(parts, part{day.Format(time.DateOnly), execution.Window{
			From: later(day, w.From), To: earlier(day.Add(execution.DayWide), w.To),
		}})
	}
	costs, err := m.Executions.spend(ctx, execution.ByDay, w, parts, len(parts))
	for _, day := range costs.Groups {
		if day.Key == before {
			f.SpentBefore = day.Spend
		} else {
			f.Days = append(f.Days, day)
		}
	}
	return err
}

func (m Measurements) readUsers(ctx context.Context, f *report.Facts) error {
	costs, err := m.Executions.Spend(ctx, execution.Window(f.Window), execution.ByUser, report.MaxNamed)
	f.Users = report.UserFacts{Window: report.Window(costs.Window), Active: costs.Many, Dearest: costs.Groups}
	if costs.Rest != nil {
		f.Users.Others = costs.Rest.Spend
	}
	return err
}

// readSteps reads the traffic of each step of the window.
func (m Measurements) readSteps(ctx context.Context, f *report.Facts) error {
	steps, step, err := m.Series(ctx, f.Window, "")
	if err != nil || len(steps) == 0 {
		return err
	}
	f.Steps = steps
	return wrap("read a series of the fleet", m.readFleetSeries(ctx, f.Window, step.Width(), steps))
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
