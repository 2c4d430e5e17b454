package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/execution/prices"
	"github.com/watchbill/watchbill/internal/replica"
	"github.com/watchbill/watchbill/internal/store/postgres"
)

func repriceCommand(std stdio, env func(string) (string, bool)) *cobra.Command {
	past := pastExecutions{config: replica.Defaults()}
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
			w := past.window(&wrong)
			wrong.keepField(replica.CheckSelfHosted(past.config.Executions.SelfHostedModels))
			list, err := replica.Prices(past.config.Executions)
			wrong.keep("--prices-file", err)
			if err := wrong.err(); err != nil {
				return err
			}
			return reprice(cmd.Context(), newConsole(std, env), past, w, list)
		},
	}
	past.bind(cmd.Flags(), "reprice")
	cmd.Flags().StringVar(&past.config.Executions.PricesFile, "prices-file", "", "YAML `file` of prices that take precedence over the built-in ones")
	(*selfHosted)(&past.config.Executions.SelfHostedModels).bind(cmd.Flags())
	return cmd
}

func reprice(ctx context.Context, c console, past pastExecutions, w execution.Window, list *prices.List) error {
	return past.correct(ctx, func(store *postgres.Executions) error {
		done, err := store.Reprice(ctx, w, list.Price)
		c.note("%s checked, %d repriced with price table %s", plural(done.Seen, "execution", "executions"), done.Changed, list.Version())
		return err
	})
}
