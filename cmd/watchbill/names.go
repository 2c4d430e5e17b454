package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/text"
)

func executionNamesCommand(std stdio, env func(string) (string, bool)) *cobra.Command {
	var o struct {
		access access
		style  style
		drop   []string
	}
	cmd := &cobra.Command{
		Use:   "names",
		Short: "List the agents and models with separate totals, or drop some",
		Long: `List the names of agents and models with separate totals, and how many of each there may be. Executions under
all other names are counted as "other".

With --drop, drop names instead of listing them, to make room for others. Totals already counted under a dropped name stay.
See also: watchbill executions recount.`,
		Example: "  watchbill executions names\n  watchbill executions names --drop agent=run-1 --drop model=test-model",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var wrong faults
			o.style.check(&wrong)
			for _, name := range o.drop {
				wrong.executionName("--drop", name)
			}
			api := o.access.client(&wrong)
			if err := wrong.err(); err != nil {
				return err
			}
			defer api.close()
			c := newConsole(std, env)
			if len(o.drop) > 0 {
				return dropExecutionNames(cmd.Context(), c, api, o.drop)
			}
			return listExecutionNames(cmd.Context(), c, api, o.style)
		},
	}
	o.access.bind(cmd.Flags())
	o.style.bind(cmd.Flags())
	cmd.Flags().StringArrayVar(&o.drop, "drop", nil, "`name` to drop, as agent=NAME or model=NAME; repeatable")
	return cmd
}

// executionName checks the name of an AI agent or model, written kind=name.
func (f *faults) executionName(what, written string) {
	kind, name, _ := strings.Cut(written, "=")
	f.add(!openapi.NameKind(kind).Valid() || name == "", what, "must be agent=NAME or model=NAME, not %q", text.FitRunes(written, 60))
}

func dropExecutionNames(ctx context.Context, c console, api *client, written []string) error {
	return each(written, func(one string) error {
		kind, name, _ := strings.Cut(one, "=")
		drop := api.DropAgentName
		if openapi.NameKind(kind) == openapi.NameKindModel {
			drop = api.DropModelName
		}
		if _, err := read(drop(ctx, name)); err != nil {
			return err
		}
		_, err := fmt.Fprintln(c.text(), text.OneLine(one), "dropped")
		return err
	})
}

func listExecutionNames(ctx context.Context, c console, api *client, how style) error {
	response, err := read(api.ListNames(ctx))
	list, err := decoded[openapi.NameList](response, err)
	if err != nil {
		return err
	}
	if how.json() {
		return c.json(list)
	}
	count := map[openapi.NameKind]int{}
	rows := make([][]cell, len(list.Names))
	for i, n := range list.Names {
		count[n.Kind]++
		rows[i] = []cell{plain(string(n.Kind)), plain(n.Name), plain(n.Since.UTC().Format(time.RFC3339))}
	}
	c.note("%d of %d agents, %d of %d models", count[openapi.NameKindAgent], list.Limit, count[openapi.NameKindModel], list.Limit)
	if len(rows) == 0 {
		return nil
	}
	return c.print(c.table([]string{"KIND", "NAME", "SINCE"}, rows))
}
