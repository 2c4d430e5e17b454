package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/text"
)

func deploymentsCommand(std stdio, env func(string) (string, bool)) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "deployments",
		Aliases: []string{"deployment"},
		Short:   "List, show and cancel deployments",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(listDeploymentsCommand(std, env), getDeploymentCommand(std, env), cancelDeploymentsCommand(std, env))
	return cmd
}

func listDeploymentsCommand(std stdio, env func(string) (string, bool)) *cobra.Command {
	var o struct {
		access               access
		listing              listing
		agent, group, status string
	}
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List deployments, newest first",
		Long:    "List deployments, newest first, without their specs. STATUS shows the progress of those that report it.",
		Example: "  watchbill deployments list --agent edge-eu-017 --status failed --limit 20",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var wrong faults
			o.listing.check(&wrong)
			params := openapi.ListDeploymentsParams{}
			if o.agent != "" {
				params.AgentID = &o.agent
				wrong.agentIDs("--agent", o.agent)
			}
			if o.group != "" {
				params.GroupID = &o.group
				wrong.ids("--group", o.group)
			}
			if o.status != "" {
				status, ok := fleet.ParseStatus(o.status)
				params.Status = new(openapi.DeploymentStatus(status))
				wrong.add(!ok, "--status",
					"must be pending, running, succeeded, failed, timed_out or cancelled, not %q", text.FitRunes(o.status, 40))
			}
			api := o.access.client(&wrong)
			if err := wrong.err(); err != nil {
				return err
			}
			defer api.close()
			return listDeployments(cmd.Context(), newConsole(std, env), api, o.listing, params)
		},
	}
	o.access.bind(cmd.Flags())
	o.listing.bind(cmd.Flags())
	cmd.Flags().StringVar(&o.agent, "agent", "", "list only deployments of the agent with this `id`")
	cmd.Flags().StringVar(&o.group, "group", "", "list only deployments of the group with this `id`, which deploy prints")
	cmd.Flags().StringVar(&o.status, "status", "", "list only deployments in this `status`: pending, running, succeeded, failed, timed_out or cancelled")
	return cmd
}

func listDeployments(ctx context.Context, c console, api *client, how listing, params openapi.ListDeploymentsParams) error {
	var now time.Time
	// A deployment may include 64 KiB of output, so the pages are smaller than those of agents.
	deployments, more, err := pages(how.limit, 100, func(size int32, cursor *string) ([]openapi.Deployment, string, error) {
		params.Limit, params.Cursor = &size, cursor
		response, err := read(api.ListDeployments(ctx, &params))
		page, err := decoded[openapi.DeploymentList](response, err)
		now = response.at
		return page.Deployments, page.NextCursor, err
	})
	if err != nil {
		return err
	}
	defer c.truncated(more, how.limit)
	if how.style.json() {
		return c.json(openapi.DeploymentList{Deployments: deployments})
	}
	if len(deployments) == 0 {
		c.note("no deployments")
		return nil
	}
	rows := make([][]cell, len(deployments))
	for i, d := range deployments {
		rows[i] = []cell{
			plain(d.ID), plain(d.AgentID), brief(d.Name),
			{statusWithProgress(d), statusColour(d.Status)},
			plain(fmt.Sprintf("%d/%d", d.Attempt, d.MaxAttempts)), plain(age(d.CreatedAt, now)), brief(d.Message),
		}
	}
	return c.print(c.table([]string{"ID", "AGENT", "NAME", "STATUS", "ATTEMPT", "AGE", "MESSAGE"}, rows))
}

func statusWithProgress(d openapi.Deployment) string {
	if d.Status == openapi.DeploymentStatusRunning && d.Progress != nil {
		return fmt.Sprintf("%s %.0f %%", d.Status, *d.Progress)
	}
	return string(d.Status)
}

func statusColour(s openapi.DeploymentStatus) string {
	switch s {
	case openapi.DeploymentStatusSucceeded:
		return ansiGreen
	case openapi.DeploymentStatusFailed, openapi.DeploymentStatusTimedOut:
		return ansiRed
	case openapi.DeploymentStatusRunning, openapi.DeploymentStatusCancelled:
		return ansiYellow
	default:
		return ""
	}
}

func getDeploymentCommand(std stdio, env func(string) (string, bool)) *cobra.Command {
	var o struct {
		access access
		style  style
	}
	cmd := &cobra.Command{
		Use:     "get ID",
		Aliases: []string{"show"},
		Short:   "Show a deployment and the outcome of each attempt",
		Long:    "Show a deployment: its spec, its status, the outcome of each attempt, and the output of the last one.",
		Example: "  watchbill deployments get 0197a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var wrong faults
			wrong.ids("ID", args...)
			o.style.check(&wrong)
			api := o.access.client(&wrong)
			if err := wrong.err(); err != nil {
				return err
			}
			defer api.close()
			d, err := decoded[openapi.Deployment](read(api.GetDeployment(cmd.Context(), args[0])))
			if err != nil {
				return err
			}
			c := newConsole(std, env)
			if o.style.json() {
				return c.json(d)
			}
			return showDeployment(c, d)
		},
	}
	o.access.bind(cmd.Flags())
	o.style.bind(cmd.Flags())
	return cmd
}

func showDeployment(c console, d openapi.Deployment) error {
	rows := [][]cell{
		{plain("id"), plain(d.ID)},
		{plain("group"), plain(d.GroupID)},
		{plain("agent"), plain(d.AgentID)},
		{plain("name"), plain(d.Name)},
		{plain("status"), {statusWithProgress(d), statusColour(d.Status)}},
		{plain("attempt"), plain(fmt.Sprintf("%d of %d", d.Attempt, d.MaxAttempts))},
		{plain("lease"), plain(fmt.Sprintf("%ds", d.LeaseSeconds))},
		{plain("created"), plain(timestamp(d.CreatedAt))},
	}
	optional := func(label, value string) {
		if value != "" {
			rows = append(rows, []cell{plain(label), plain(value)})
		}
	}
	if d.Status == openapi.DeploymentStatusPending && d.AvailableAt.After(d.CreatedAt) {
		optional("due", timestamp(d.AvailableAt))
	}
	optional("started", timestamp(d.StartedAt))
	optional("lease ends", timestamp(d.LeaseExpiresAt))
	optional("finished", timestamp(d.FinishedAt))
	optional("message", d.Message)
	var b strings.Builder
	b.WriteString(c.table(nil, rows))
	if len(d.Attempts) > 0 {
		rows = nil
		for _, a := range d.Attempts {
			rows = append(rows, []cell{
				plain(strconv.Itoa(int(a.Attempt))),
				{string(a.Status), statusColour(a.Status)},
				plain(timestamp(a.StartedAt)), plain(timestamp(a.FinishedAt)), plain(a.Message),
			})
		}
		b.WriteString("\n" + c.table([]string{"ATTEMPT", "STATUS", "STARTED", "FINISHED", "MESSAGE"}, rows))
	}
	for _, part := range []struct{ title, text string }{{"SPEC", string(d.Spec)}, {"OUTPUT", d.Output}} {
		if part.text != "" {
			b.WriteString("\n" + c.paint(part.title, ansiBold) + "\n")
			_, _ = io.WriteString(c.safe(&b), strings.TrimSuffix(part.text, "\n")+"\n") // a strings.Builder does not fail
		}
	}
	return c.print(b.String())
}

func cancelDeploymentsCommand(std stdio, env func(string) (string, bool)) *cobra.Command {
	var o struct {
		access access
		group  string
	}
	cmd := &cobra.Command{
		Use:   "cancel ID…",
		Short: "Cancel deployments, or all unfinished ones of a group",
		Long: `Cancel deployments that are pending or running, or with --group every unfinished one of a group. An agent that runs a
cancelled deployment learns of it when it next renews its lease.`,
		Example: `  watchbill deployments cancel 0197a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b
  watchbill deployments cancel --group 0197a1b2-7c3d-7e4f-8a5b-000000000001`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, ids []string) error {
			var wrong faults
			wrong.ids("ID", ids...)
			wrong.add((len(ids) == 0) == (o.group == ""), "ID", "give either ids or --group")
			if o.group != "" {
				wrong.ids("--group", o.group)
			}
			api := o.access.client(&wrong)
			if err := wrong.err(); err != nil {
				return err
			}
			defer api.close()
			c := newConsole(std, env)
			if o.group != "" {
				return cancelGroup(cmd.Context(), c, api, o.group)
			}
			return each(ids, func(id string) error {
				if _, err := read(api.CancelDeployment(cmd.Context(), id)); err != nil {
					return err
				}
				_, err := fmt.Fprintln(c.out, id, "cancelled")
				return err
			})
		},
	}
	o.access.bind(cmd.Flags())
	cmd.Flags().StringVar(&o.group, "group", "", "cancel every unfinished deployment of the group with this `id`")
	return cmd
}

func cancelGroup(ctx context.Context, c console, api *client, id string) error {
	group, err := decoded[openapi.DeploymentGroup](read(api.CancelDeploymentGroup(ctx, id)))
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(c.out, groupCounts(group))
	return err
}
