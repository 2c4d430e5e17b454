package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/watchbill/watchbill/api/openapi"
)

func alertsCommand(std stdio, env func(string) (string, bool)) *cobra.Command {
	var o struct {
		access access
		style  style
	}
	cmd := &cobra.Command{
		Use:     "alerts",
		Aliases: []string{"alert"},
		Short:   "List active alerts",
		Long: `List the alerts that are firing, pending or suppressed in the Prometheus or Alertmanager that the server reads
(watchbill serve --alerts-url), by urgency.

Exit status: 0 if the alerts are known, whether or not some are firing; 1 if they are not.`,
		Example: "  watchbill alerts\n  watchbill alerts -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var wrong faults
			o.style.check(&wrong)
			api := o.access.client(&wrong)
			if err := wrong.err(); err != nil {
				return err
			}
			defer api.close()
			return listAlerts(cmd.Context(), newConsole(std, env), api, o.style)
		},
	}
	o.access.bind(cmd.Flags())
	o.style.bind(cmd.Flags())
	return cmd
}

func listAlerts(ctx context.Context, c console, api *client, how style) error {
	answer, err := read(api.ListAlerts(ctx))
	list, err := decoded[openapi.AlertList](answer, err)
	if err != nil {
		return err
	}
	if how.json() {
		if err := c.json(list); err != nil {
			return err
		}
	}
	switch {
	case !list.Configured:
		return errors.New("the server reads no alerts; start it with --alerts-url")
	case list.Fault != "":
		return fmt.Errorf("the alerts are not known: %s", list.Fault)
	case how.json():
		return nil
	case len(list.Alerts) == 0:
		c.note("no alert is active")
		return nil
	}
	rows := make([][]cell, len(list.Alerts))
	for i, a := range list.Alerts {
		state := plain(string(a.State))
		if a.State == openapi.AlertStateFiring {
			state.colour = ansiRed
		}
		rows[i] = []cell{state, brief(a.Severity), brief(a.Name), plain(age(a.Since, answer.at)), brief(a.Summary)}
	}
	if err := c.print(c.table([]string{"STATE", "SEVERITY", "ALERT", "AGE", "SUMMARY"}, rows)); err != nil {
		return err
	}
	if more := int(list.Total) - len(list.Alerts); more > 0 {
		c.note("%d more are active", more)
	}
	return nil
}
