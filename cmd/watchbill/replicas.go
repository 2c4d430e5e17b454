package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/watchbill/watchbill/api/openapi"
)

func replicasCommand(std stdio, env func(string) (string, bool)) *cobra.Command {
	var o struct {
		access access
		style  style
	}
	cmd := &cobra.Command{
		Use:     "replicas",
		Aliases: []string{"replica"},
		Short:   "List the server's replicas",
		Long: `List the replicas of the last day, those that run first, with their versions and faults. A replica is lost if it stored
nothing for a minute and did not shut down in order.`,
		Example: "  watchbill replicas\n  watchbill replicas -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var wrong faults
			o.style.check(&wrong)
			api := o.access.client(&wrong)
			if err := wrong.err(); err != nil {
				return err
			}
			defer api.close()
			return listReplicas(cmd.Context(), newConsole(std, env), api, o.style)
		},
	}
	o.access.bind(cmd.Flags())
	o.style.bind(cmd.Flags())
	return cmd
}

func listReplicas(ctx context.Context, c console, api *client, how style) error {
	answer, err := read(api.ListReplicas(ctx))
	list, err := decoded[openapi.ReplicaList](answer, err)
	if err != nil {
		return err
	}
	if how.json() {
		return c.json(list)
	}
	if len(list.Replicas) == 0 {
		c.note("no replica has stored its state yet")
		return nil
	}
	rows := make([][]cell, len(list.Replicas))
	for i, r := range list.Replicas {
		state := plain(string(r.State))
		pool := fmt.Sprintf("%d of %d", r.Pool.InUse, r.Pool.Max)
		switch r.State {
		case openapi.ReplicaStateDegraded:
			state.colour = ansiYellow
		case openapi.ReplicaStateLost:
			state.colour, pool = ansiRed, ""
		case openapi.ReplicaStateStopped:
			pool = ""
		case openapi.ReplicaStateOk:
		}
		rows[i] = []cell{
			plain(r.Name), state, brief(r.Version), plain(age(r.StartedAt, answer.at)), plain(age(r.SeenAt, answer.at)), plain(pool),
			brief(strings.Join(r.Faults, "; ")),
		}
	}
	return c.print(c.table([]string{"REPLICA", "STATE", "VERSION", "AGE", "SEEN", "CONNECTIONS", "FAULTS"}, rows))
}
