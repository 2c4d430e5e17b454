package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/replica"
	"github.com/watchbill/watchbill/internal/store/postgres"
	"github.com/watchbill/watchbill/internal/text"
)

// pastExecutions are the executions that a command corrects in the database.
type pastExecutions struct {
	config   replica.Config
	from, to string
}

// bind adds the flags. verb is what the command does with executions.
func (p *pastExecutions) bind(flags *pflag.FlagSet, verb string) {
	bindDatabase(flags, &p.config)
	flags.StringVar(&p.from, "from", "", verb+" executions that began at or after this `time`, such as 2026-11-01T00:00:00Z")
	flags.StringVar(&p.to, "to", "", verb+" executions that began before this `time`, such as 2026-12-01T00:00:00Z")
}

// window checks the flags and returns the time in which the executions began.
func (p *pastExecutions) window(wrong *faults) execution.Window {
	w := execution.Window{From: moment(wrong, "--from", p.from), To: moment(wrong, "--to", p.to)}
	wrong.add(len(*wrong) == 0 && !w.From.Before(w.To), "--from", "must be before --to")
	wrong.add(p.config.DatabaseURL == "", "--database-url", "is required (or DATABASE_URL)")
	fault := postgres.URLFault(p.config.DatabaseURL)
	wrong.add(fault != "", "--database-url", "%s", fault)
	return w
}

func moment(wrong *faults, flag, value string) time.Time {
	t, err := time.Parse(time.RFC3339, value)
	if err != nil {
		wrong.keepField(fmt.Errorf("%s: must be a time as in RFC 3339, such as 2026-11-01T00:00:00Z, not %q", flag, text.FitRunes(value, 40)))
	}
	return t.UTC()
}

// correct runs do on the database's executions.
func (p *pastExecutions) correct(ctx context.Context, do func(*postgres.Executions) error) error {
	db, err := postgres.Open(ctx, postgres.Config{URL: p.config.DatabaseURL, MaxConns: 2, Pooler: p.config.DatabaseDirectURL != ""})
	if err != nil {
		return err
	}
	defer db.Close()
	err = do(postgres.NewExecutions(db, p.config.Executions.Retention, time.Now))
	if errors.Is(err, context.Canceled) {
		return errors.New("interrupted; run the command again for the rest")
	}
	return err
}
