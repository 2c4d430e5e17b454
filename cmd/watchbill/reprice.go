package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/execution/prices"
	"github.com/watchbill/watchbill/internal/replica"
	"github.com/watchbill/watchbill/internal/store/postgres"
	"github.com/watchbill/watchbill/internal/text"
)

func repriceCommand(std stdio, env func(string) (string, bool)) *cobra.Command {
	config := replica.Defaults()
	var from, to string
	cmd := &cobra.Command{
		Use:   "reprice",
		Short: "Recalculate past costs",
		Long: `Recalculate the cost of past executions, and all totals that include it. A change of price never changes what is already
recorded without this command. It works on the database and may run beside the server. If it is interrupted, run it again:
it continues with what is left.`,
		Example: "  watchbill prices reprice --from 2026-11-01T00:00:00Z --to 2026-12-01T00:00:00Z --prices-file prices.yaml",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var wrong faults
			w := execution.Window{From: moment(&wrong, "--from", from), To: moment(&wrong, "--to", to)}
			wrong.add(len(wrong) == 0 && !w.From.Before(w.To), "--from", "must be before --to")
			wrong.add(config.DatabaseURL == "", "--database-url", "is required (or DATABASE_URL)")
			fault := postgres.URLFault(config.DatabaseURL)
			wrong.add(fault != "", "--database-url", "%s", fault)
			wrong.keepField(replica.CheckSelfHosted(config.Executions.SelfHostedModels))
			list, err := replica.Prices(config.Executions)
			wrong.keep("--prices-file", err)
			if err := wrong.err(); err != nil {
				return err
			}
			return reprice(cmd.Context(), newConsole(std, env), config, w, list)
		},
	}
	bindDatabase(cmd.Flags(), &config)
	cmd.Flags().StringVar(&from, "from", "", "reprice executions that began at or after this `time`, such as 2026-11-01T00:00:00Z")
	cmd.Flags().StringVar(&to, "to", "", "reprice executions that began before this `time`, such as 2026-12-01T00:00:00Z")
	cmd.Flags().StringVar(&config.Executions.PricesFile, "prices-file", "", "YAML `file` of prices that take precedence over the built-in ones")
	(*selfHosted)(&config.Executions.SelfHostedModels).bind(cmd.Flags())
	return cmd
}

func moment(wrong *faults, flag, value string) time.Time {
	t, err := time.Parse(time.RFC3339, value)
	if err != nil {
		wrong.keepField(fmt.Errorf("%s: must be a time as in RFC 3339, such as 2026-11-01T00:00:00Z, not %q", flag, text.FitRunes(value, 40)))
	}
	return t.UTC()
}

func reprice(ctx context.Context, c console, config replica.Config, w execution.Window, list *prices.List) error {
	db, err := postgres.Open(ctx, postgres.Config{URL: config.DatabaseURL, MaxConns: 2, Pooler: config.DatabaseDirectURL != ""})
	if err != nil {
		return err
	}
	defer db.Close()
	store := postgres.NewExecutions(db, config.Executions.Retention, time.Now)
	done, err := store.Reprice(ctx, w, list.Price)
	c.note("%s checked, %d repriced with price table %s", plural(done.Seen, "execution", "executions"), done.Changed, list.Version())
	if errors.Is(err, context.Canceled) {
		return errors.New("interrupted; run the command again for the rest")
	}
	return err
}
