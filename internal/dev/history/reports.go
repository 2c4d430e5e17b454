package history

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/internal/report"
	"github.com/watchbill/watchbill/internal/store/postgres"
)

// reportDays is the number of days that have a nightly report; every seventh has a weekly one too.
const reportDays = 14

// writeReports stores nightly and weekly reports of the last days, each as if it had been made at that time.
func (w *writer) writeReports(ctx context.Context, conn *pgx.Conn) (int, error) {
	store := postgres.NewReports(w.db)
	r := w.plan.random("reports", 0)
	made := 0
	last := w.plan.to.Truncate(24 * time.Hour)
	for day := reportDays - 1; day >= 0; day-- {
		at := last.AddDate(0, 0, -day)
		for _, one := range []struct {
			name   string
			length time.Duration
			due    bool
		}{{"nightly", 24 * time.Hour, true}, {"weekly", 7 * 24 * time.Hour, day%7 == 0}} {
			id, created := idAt(r, at.Add(5*time.Minute)), at.Add(5*time.Minute)
			if from := at.Add(-one.length); !one.due || from.Before(w.plan.from) {
				continue
			}
			if created.After(w.plan.to) {
				created = w.plan.to
			}
			if err := w.writeReport(ctx, conn, store, one.name, id, at.Add(-one.length), at, created); err != nil {
				return made, err
			}
			made++
		}
	}
	return made, nil
}

func (w *writer) writeReport(ctx context.Context, conn *pgx.Conn, store *postgres.Reports, name string, id uuid.UUID, from, to, created time.Time) error {
	req, err := report.ParseRequest(report.Input{Name: name, From: from.Format(time.RFC3339), To: to.Format(time.RFC3339)}, 24, w.opts.Now())
	if err != nil {
		return err
	}
	all := postgres.Measurements{Rollups: postgres.NewRollups(w.db), Executions: w.store}
	current, before := req.Parts()
	facts, err := all.Facts(ctx, req.Window, current)
	if err != nil {
		return err
	}
	previous, err := all.Facts(ctx, req.Window.Previous(), before)
	if err != nil {
		return err
	}
	doc, err := report.Compute(req, facts, &previous, created, id.String())
	if err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, "DELETE FROM reports WHERE id = $1", id); err != nil { // of an interrupted call
		return fmt.Errorf("replace a report: %w", err)
	}
	if err := store.SaveReport(ctx, "", doc, 0); err != nil {
		return err
	}
	_, err = conn.Exec(ctx, "UPDATE reports SET created_at = $2 WHERE id = $1", id, created)
	return err
}
