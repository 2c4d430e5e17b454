package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/text"
)

func agentsCommand(std stdio, env func(string) (string, bool)) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "agents",
		Short: "List, enroll and delete agents",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		listAgentsCommand(std, env), enrollAgentCommand(std, env), deleteAgentsCommand(std, env), rotateAgentCommand(std, env),
	)
	return cmd
}

func listAgentsCommand(std stdio, env func(string) (string, bool)) *cobra.Command {
	var o struct {
		access       access
		listing      listing
		label, state string
	}
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List agents by id",
		Long: `List agents by id.

STATE is online, late (no poll for one and a half of the agent's own intervals) or offline (none for six, or none ever).
ENROLLED BY is the first 16 digits of the SHA-256 of the enrollment token that the agent enrolled with; empty if an
administrator enrolled it.`,
		Example: "  watchbill agents list --label 'region=eu,tier in (edge,core)' --state offline",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var wrong faults
			o.listing.check(&wrong)
			params := openapi.ListAgentsParams{}
			if o.label != "" {
				params.Label = &o.label
				_, err := fleet.ParseSelector("--label", o.label)
				wrong.keepField(err)
			}
			if o.state != "" {
				params.State = new(openapi.AgentState(o.state))
				wrong.add(!params.State.Valid(), "--state", "must be online, late or offline, not %q", text.FitRunes(o.state, 40))
			}
			api := o.access.client(&wrong)
			if err := wrong.err(); err != nil {
				return err
			}
			defer api.close()
			return listAgents(cmd.Context(), newConsole(std, env), api, o.listing, params)
		},
	}
	o.access.bind(cmd.Flags())
	o.listing.bind(cmd.Flags())
	cmd.Flags().StringVarP(&o.label, "label", "l", "", "list only agents whose labels match this `selector`, in Kubernetes' syntax, such as region=eu,tier!=lab")
	cmd.Flags().StringVar(&o.state, "state", "", "list only agents in this `state`: online, late or offline")
	return cmd
}

func listAgents(ctx context.Context, c console, api *client, how listing, params openapi.ListAgentsParams) error {
	var now time.Time
	agents, more, err := pages(how.limit, 500, func(size int32, cursor *string) ([]openapi.Agent, string, error) {
		params.Limit, params.Cursor = &size, cursor
		response, err := read(api.ListAgents(ctx, &params))
		page, err := decoded[openapi.AgentList](response, err)
		now = response.at
		return page.Agents, page.NextCursor, err
	})
	if err != nil {
		return err
	}
	defer c.truncated(more, how.limit)
	if how.style.json() {
		return c.json(openapi.AgentList{Agents: agents})
	}
	if len(agents) == 0 {
		c.note("no agents")
		return nil
	}
	colours := map[openapi.AgentState]string{
		openapi.AgentStateOnline: ansiGreen, openapi.AgentStateLate: ansiYellow, openapi.AgentStateOffline: ansiRed,
	}
	rows := make([][]cell, len(agents))
	for i, a := range agents {
		rows[i] = []cell{
			plain(a.ID), brief(a.Name),
			{string(a.State), colours[a.State]},
			plain(ago(a.LastSeenAt, now)),
			plain(fmt.Sprintf("%ds", a.PollIntervalSeconds)), plain(a.EnrolledBy), brief(pairs(a.Labels)),
		}
	}
	return c.print(c.table([]string{"ID", "NAME", "STATE", "LAST SEEN", "INTERVAL", "ENROLLED BY", "LABELS"}, rows))
}

// pairs formats labels as a selector, in order.
func pairs(labels map[string]string) string {
	written := make([]string, 0, len(labels))
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		written = append(written, key+"="+labels[key])
	}
	return strings.Join(written, ",")
}

func enrollAgentCommand(std stdio, env func(string) (string, bool)) *cobra.Command {
	var o struct {
		access                    access
		style                     style
		enrollmentToken, id, name string
		labels                    map[string]string
		interval                  time.Duration
	}
	cmd := &cobra.Command{
		Use:        "enroll",
		Aliases:    []string{"enrol"},
		SuggestFor: []string{"add", "create", "register", "new"},
		Short:      "Enroll an agent and print its token",
		Long: `Enroll an agent and print its id and its token. Save the token: it cannot be shown again, only replaced with
'watchbill agents rotate'.

An enrollment token is enough. Without one, the command uses the admin token.`,
		Example: "  watchbill agents enroll --id edge-eu-017 --name 'Edge node 17' --label region=eu,tier=edge",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var wrong faults
			o.style.check(&wrong)
			if o.id != "" {
				wrong.agentIDs("--id", o.id)
			}
			wrong.add(o.name == "", "--name", "is required")
			wrong.seconds("--poll-interval", o.interval, fleet.MinPollInterval, fleet.MaxPollInterval)
			token := o.enrollmentToken
			if token == "" {
				token = o.access.adminToken
			}
			api := o.access.clientFor(&wrong, "token", token, "ENROLLMENT_TOKEN, ADMIN_TOKEN or --token-file")
			if err := wrong.err(); err != nil {
				return err
			}
			defer api.close()
			agent, err := decoded[openapi.EnrolledAgent](read(api.EnrollAgent(cmd.Context(), openapi.EnrollAgentRequest{
				ID: o.id, Name: o.name, Labels: o.labels, PollIntervalSeconds: new(int32(o.interval / time.Second)),
			})))
			if err != nil {
				return err
			}
			return printToken(newConsole(std, env), o.style, agent)
		},
	}
	flags := cmd.Flags()
	o.access.bind(flags)
	o.style.bind(flags)
	flags.StringVar(&o.enrollmentToken, "enrollment-token", "", "enrollment `token` (set $ENROLLMENT_TOKEN instead: a command line is visible to other users)")
	flags.StringVar(&o.id, "id", "", "`id` of the new agent (default: chosen by the server)")
	flags.StringVar(&o.name, "name", "", "`name` of the new agent, for people to read")
	flags.StringToStringVarP(&o.labels, "label", "l", nil, "labels of the new agent, as comma-separated `key=value` pairs")
	flags.DurationVar(&o.interval, "poll-interval", fleet.DefaultPollInterval, "how often the new agent should poll, in whole seconds")
	return cmd
}

// printToken prints a token, which cannot be shown again.
func printToken(c console, how style, agent openapi.EnrolledAgent) error {
	if how.json() {
		return c.json(agent)
	}
	if err := c.print(c.table([]string{"ID", "TOKEN"}, [][]cell{{plain(agent.ID), plain(agent.Token)}})); err != nil {
		return err
	}
	c.note("save this token; it won't be shown again")
	return nil
}

func deleteAgentsCommand(std stdio, env func(string) (string, bool)) *cobra.Command {
	var access access
	cmd := &cobra.Command{
		Use:     "delete ID…",
		Aliases: []string{"remove", "rm"},
		Short:   "Delete agents from the fleet",
		Long:    "Delete agents from the fleet. Their tokens stop working within a second.",
		Example: "  watchbill agents delete edge-eu-017 edge-eu-018",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, ids []string) error {
			var wrong faults
			wrong.agentIDs("ID", ids...)
			api := access.client(&wrong)
			if err := wrong.err(); err != nil {
				return err
			}
			defer api.close()
			c := newConsole(std, env)
			return each(ids, func(id string) error {
				if _, err := read(api.DeleteAgent(cmd.Context(), id)); err != nil {
					return err
				}
				_, err := fmt.Fprintln(c.out, id, "deleted")
				return err
			})
		},
	}
	access.bind(cmd.Flags())
	return cmd
}

// each calls do for every id, even after failures, and returns all errors.
func each(ids []string, do func(id string) error) error {
	var failed []error
	for _, id := range ids {
		err := do(id)
		if errors.Is(err, errInterrupted) {
			return err
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", id, err))
		}
	}
	return errors.Join(failed...)
}

func rotateAgentCommand(std stdio, env func(string) (string, bool)) *cobra.Command {
	var o struct {
		access access
		style  style
	}
	cmd := &cobra.Command{
		Use:     "rotate ID",
		Short:   "Give an agent a new token and print it",
		Long:    "Give an agent a new token and print it. Save it: it cannot be shown again. The old token stops working within a second.",
		Example: "  watchbill agents rotate edge-eu-017 -o json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var wrong faults
			wrong.agentIDs("ID", args...)
			o.style.check(&wrong)
			api := o.access.client(&wrong)
			if err := wrong.err(); err != nil {
				return err
			}
			defer api.close()
			agent, err := decoded[openapi.EnrolledAgent](read(api.RotateAgentToken(cmd.Context(), args[0])))
			if err != nil {
				return err
			}
			return printToken(newConsole(std, env), o.style, agent)
		},
	}
	o.access.bind(cmd.Flags())
	o.style.bind(cmd.Flags())
	return cmd
}
