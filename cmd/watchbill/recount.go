package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/replica"
	"github.com/watchbill/watchbill/internal/store/postgres"
)

func recountCommand(std stdio, env func(string) (string, bool)) *cobra.Command {
	config := replica.Defaults()
	var from, to string
	cmd := &cobra.Command{
		Use:   "recount",
		Short: "Recount executions counted as \"other\" under their own names",
		Long: `Recount past executions that are counted as "other" under their own agents and models, as far as there is room for these
names (see 'watchbill executions names'). The command works on the database and may run beside the server. If it is
interrupted, run it again: it continues with what is left.`,
		Example: "  watchbill executions recount --from 2026-11-01T00:00:00Z --to 2026-12-01T00:00:00Z",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var wrong faults
			w := execution.Window{From: moment(&wrong, "--from", from), To: moment(&wrong, "--to", to)}
			wrong.add(len(wrong) == 0 && !w.From.Before(w.To), "--from", "must be before --to")
			wrong.add(config.DatabaseURL == "", "--database-url", "is required (or DATABASE_URL)")
			fault := postgres.URLFault(config.DatabaseURL)
			wrong.add(fault != "", "--database-url", "%s", fault)
			if err := wrong.err(); err != nil {
				return err
			}
			return recount(cmd.Context(), newConsole(std, env), config, w)
		},
	}
	bindDatabase(cmd.Flags(), &config)
	cmd.Flags().StringVar(&from, "from", "", "recount executions that began at or after this `time`, such as 2026-11-01T00:00:00Z")
	cmd.Flags().StringVar(&to, "to", "", "recount executions that began before this `time`, such as 2026-12-01T00:00:00Z")
	return cmd
}

func recount(ctx context.Context, c console, config replica.Config, w execution.Window) error {
	db, err := postgres.Open(ctx, postgres.Config{URL: config.DatabaseURL, MaxConns: 2, Pooler: config.DatabaseDirectURL != ""})
	if err != nil {
		return err
	}
	defer db.Close()
	done, err := postgres.NewExecutions(db, config.Executions.Retention, time.Now).Recount(ctx, w)
	c.note("%s checked, %d recounted under their own names", plural(done.Seen, "execution", "executions"), done.Changed)
	if errors.Is(err, context.Canceled) {
		return errors.New("interrupted; run the command again for the rest")
	}
	return err
}
