package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/watchbill/watchbill/api/openapi"
)

func executionsCommand(std stdio, env func(string) (string, bool)) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "executions",
		Aliases: []string{"execution"},
		Short:   "List executions of AI agents, and maintain their totals",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(executionListCommand(std, env), executionShowCommand(std, env), executionExportCommand(std, env),
		executionErrorsCommand(std, env), executionActivityCommand(std, env), executionNamesCommand(std, env), recountCommand(std, env))
	return cmd
}

func executionErrorsCommand(std stdio, env func(string) (string, bool)) *cobra.Command {
	var o struct {
		access  access
		listing listing
	}
	cmd := &cobra.Command{
		Use:   "errors",
		Short: "List executions that failed or timed out, newest first",
		Long: `List executions that failed or timed out, newest first.

An agent that failed with the error of an execution below it is not listed separately: RUN is its execution's id, in the
line of the execution that caused the error. With -o json every execution is listed, with input and output.`,
		Example: "  watchbill executions errors --limit 20",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var wrong faults
			o.listing.check(&wrong)
			api := o.access.client(&wrong)
			if err := wrong.err(); err != nil {
				return err
			}
			defer api.close()
			return listExecutionErrors(cmd.Context(), newConsole(std, env), api, o.listing)
		},
	}
	o.access.bind(cmd.Flags())
	o.listing.bind(cmd.Flags())
	return cmd
}

func listExecutionErrors(ctx context.Context, c console, api *client, how listing) error {
	var now time.Time
	// An execution may include its input and output, so the pages are small.
	failed, more, err := pages(how.limit, 50, func(size int32, cursor *string) ([]openapi.Execution, string, error) {
		response, err := read(api.ListExecutionErrors(ctx, &openapi.ListExecutionErrorsParams{Limit: &size, Cursor: cursor}))
		page, err := decoded[openapi.ExecutionErrorList](response, err)
		now = response.at
		return page.Errors, page.NextCursor, err
	})
	if err != nil {
		return err
	}
	defer c.truncated(more, how.limit)
	if how.style.json() {
		return c.json(openapi.ExecutionErrorList{Status: "success", Errors: failed})
	}
	if len(failed) == 0 {
		c.note("no execution has failed")
		return nil
	}
	var rows [][]cell
	for _, e := range causesOf(failed) {
		run := ""
		if e.run != nil {
			run = e.run.ExecutionID
		}
		rows = append(rows, []cell{
			plain(age(e.CreatedAt, now)), brief(e.AgentName), brief(deref(e.ModelUsed)), brief(e.UserID),
			{string(e.Status), ansiRed},
			plain(e.ExecutionID), plain(run), brief(deref(e.ErrorMessage)),
		})
	}
	return c.print(c.table([]string{"AGE", "AGENT", "MODEL", "USER", "STATUS", "EXECUTION", "RUN", "ERROR"}, rows))
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
