package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/replica"
	"github.com/watchbill/watchbill/internal/store/postgres"
)

func recountCommand(std stdio, env func(string) (string, bool)) *cobra.Command {
	past := pastExecutions{config: replica.Defaults()}
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
			w := past.window(&wrong)
			if err := wrong.err(); err != nil {
				return err
			}
			return recount(cmd.Context(), newConsole(std, env), past, w)
		},
	}
	past.bind(cmd.Flags(), "recount")
	return cmd
}

func recount(ctx context.Context, c console, past pastExecutions, w execution.Window) error {
	return past.correct(ctx, func(store *postgres.Executions) error {
		done, err := store.Recount(ctx, w)
		c.note("%s checked, %d recounted under their own names", plural(done.Seen, "execution", "executions"), done.Changed)
		return err
	})
}
