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
		Short: "Count executions under their own names that count as other",
		Long: `Count the executions that began in a time and count as other in the figures under their own agents and models, as far
as there are places for these names: see GET and DELETE /api/admin/names. It works on the database, beside running replicas. What
was done when it is broken off stays done; running it again does the rest.`,
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
	cmd.Flags().StringVar(&from, "from", "", "`time` from which on executions are counted anew, such as 2026-11-01T00:00:00Z")
	cmd.Flags().StringVar(&to, "to", "", "`time` up to which")
	return cmd
}

func recount(ctx context.Context, c console, config replica.Config, w execution.Window) error {
	db, err := postgres.Open(ctx, postgres.Config{URL: config.DatabaseURL, MaxConns: 2, Pooler: config.DatabaseDirectURL != ""})
	if err != nil {
		return err
	}
	defer db.Close()
	done, err := postgres.NewExecutions(db, config.Executions.Retention, time.Now).Recount(ctx, w)
	c.note("looked at %d executions; %d count under their own names now", done.Seen, done.Changed)
	if errors.Is(err, context.Canceled) {
		return errors.New("broken off: run it again for the rest")
	}
	return err
}
