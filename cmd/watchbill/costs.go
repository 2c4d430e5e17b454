package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/text"
)

func costsCommand(std stdio, env func(string) (string, bool)) *cobra.Command {
	var o struct {
		access   access
		style    style
		days     int32
		by, zone string
		user     string
		limit    int32
	}
	cmd := &cobra.Command{
		Use:     "costs",
		Aliases: []string{"cost"},
		Short:   "Show what executions of AI agents cost",
		Long: `Show what executions of AI agents cost in the last days, including today.

"at least" before a cost means that it leaves out tokens without a price or executions whose usage is unknown; "about", that
part of it comes from estimated tokens; "unknown", that no part of it is known.`,
		Example: "  watchbill costs\n  watchbill costs --days 7 --by model --time-zone Europe/Berlin",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var wrong faults
			o.style.check(&wrong)
			wrong.add(!openapi.CostGroupBy(o.by).Valid(), "--by", "must be day, user, agent or model, not %q", text.FitRunes(o.by, 40))
			wrong.add(cmd.Flags().Changed("user") && o.user == "", "--user", "must not be empty")
			wrong.add(o.user != "" && o.by != "day" && o.by != "model", "--by", "must be day or model together with --user")
			api := o.access.client(&wrong)
			if err := wrong.err(); err != nil {
				return err
			}
			defer api.close()
			by := openapi.CostGroupBy(o.by)
			params := openapi.GetCostsParams{Days: &o.days, GroupBy: &by, TimeZone: &o.zone, Limit: &o.limit}
			if o.user != "" {
				params.UserID = &o.user
			}
			response, err := read(api.GetCosts(cmd.Context(), &params))
			costs, err := decoded[openapi.CostsAnswer](response, err)
			if err != nil {
				return err
			}
			c := newConsole(std, env)
			if o.style.json() {
				return c.json(costs)
			}
			return c.print(c.costs(costs.Costs))
		},
	}
	o.access.bind(cmd.Flags())
	o.style.bind(cmd.Flags())
	cmd.Flags().Int32Var(&o.days, "days", 30, "`number` of days to cover, including today")
	cmd.Flags().StringVar(&o.by, "by", "day", "`dimension` to group costs by: day, user, agent or model")
	cmd.Flags().StringVar(&o.user, "user", "", "`id` of the user whose costs to show")
	cmd.Flags().StringVar(&o.zone, "time-zone", "UTC", "IANA time `zone` in which days begin and end, such as Europe/Berlin")
	cmd.Flags().Int32Var(&o.limit, "limit", 50, "max `number` of users, agents or models to list; the rest is summed up as (others)")
	return cmd
}

// costs formats costs as a table without columns that are empty in all rows.
func (c console) costs(all openapi.Costs) string {
	counted := "REQUESTS"
	if all.GroupBy == openapi.CostGroupByModel {
		counted = "CALLS"
	}
	code := all.Total.Currency
	for _, g := range all.Groups {
		code = cmp.Or(code, g.Currency)
	}
	head := []string{strings.ToUpper(string(all.GroupBy)), counted, "TOKENS", "UNPRICED", "USAGE UNKNOWN", "COST", "IN " + code, "CHARGED", "DIFFERENCE"}
	rows := make([][]cell, 0, len(all.Groups)+2)
	for _, g := range all.Groups {
		key := brief(g.Key)
		if g.Key == "" {
			key = plain("(no model)")
		}
		rows = append(rows, spendCells(key, openapi.Spend{
			Requests: g.Requests, Tokens: g.Tokens, CostUSD: g.CostUSD, UnpricedTokens: g.UnpricedTokens, UnknownUsage: g.UnknownUsage,
			EstimatedCostUSD: g.EstimatedCostUSD, ProviderCostUSD: g.ProviderCostUSD, ProviderDifferenceUSD: g.ProviderDifferenceUSD,
			Cost: g.Cost, Currency: g.Currency,
		}))
	}
	if all.Rest != (openapi.Spend{}) {
		rows = append(rows, spendCells(plain("(others)"), all.Rest))
	}
	rows = append(rows, spendCells(cell{"total", ansiBold}, all.Total))
	head, rows = withoutEmpty(head, rows)
	table := c.table(head, rows)
	if all.Total.RateDate != "" {
		table += fmt.Sprintf("\nIn %s, each day is converted at its own rate, and everything else at the rate of %s.\n", text.OneLine(code), text.OneLine(all.Total.RateDate))
	}
	return table
}

func spendCells(key cell, s openapi.Spend) []cell {
	return []cell{
		key, plain(fmt.Sprint(s.Requests)), plain(fmt.Sprint(s.Tokens.Used)),
		warned(s.UnpricedTokens), warned(s.UnknownUsage),
		costCell(s.CostUSD, s.UnpricedTokens, s.UnknownUsage, s.EstimatedCostUSD != 0),
		amount(s.Cost, s.Currency), amount(s.ProviderCostUSD, "USD"), amount(s.ProviderDifferenceUSD, "USD"),
	}
}

// warned formats a count that should be zero.
func warned(n int64) cell {
	if n == 0 {
		return plain("")
	}
	return cell{fmt.Sprint(n), ansiYellow}
}

// amount formats money to the billionth; empty if x is nil.
func amount(x *openapi.USD, code string) cell {
	if x == nil {
		return plain("")
	}
	return plain(x.String() + " " + code)
}

// costCell formats a cost and marks it if it may be incomplete or estimated.
func costCell(x *openapi.USD, unpriced, unknown int64, estimated bool) cell {
	qualifier := execution.CostQualifier(unpriced, unknown, estimated)
	switch {
	case x == nil && qualifier == "":
		return plain("")
	case x == nil:
		return cell{"unknown", ansiYellow}
	case qualifier == "":
		return plain(x.String() + " USD")
	}
	return cell{qualifier + x.String() + " USD", ansiYellow}
}

// withoutEmpty removes the columns that are empty in all rows.
func withoutEmpty(head []string, rows [][]cell) ([]string, [][]cell) {
	var heads []string
	kept := make([][]cell, len(rows))
	for i, name := range head {
		some := false
		for _, row := range rows {
			some = some || row[i].text != ""
		}
		if !some {
			continue
		}
		heads = append(heads, name)
		for r, row := range rows {
			kept[r] = append(kept[r], row[i])
		}
	}
	return heads, kept
}

func executionActivityCommand(std stdio, env func(string) (string, bool)) *cobra.Command {
	var o struct {
		access  access
		listing listing
	}
	cmd := &cobra.Command{
		Use:   "activity USER",
		Short: "List a user's executions, newest first",
		Long: `List a user's executions, newest first, with their tokens and cost. With -o json they include input and output.
JOINED counts further spans or records of the same call; they are not listed, and the call counts once.`,
		Example: "  watchbill executions activity ada --limit 20",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var wrong faults
			o.listing.check(&wrong)
			api := o.access.client(&wrong)
			if err := wrong.err(); err != nil {
				return err
			}
			defer api.close()
			return listActivity(cmd.Context(), newConsole(std, env), api, args[0], o.listing)
		},
	}
	o.access.bind(cmd.Flags())
	o.listing.bind(cmd.Flags())
	return cmd
}

func listActivity(ctx context.Context, c console, api *client, user string, how listing) error {
	var now time.Time
	all, more, err := pages(how.limit, 50, func(size int32, cursor *string) ([]openapi.Execution, string, error) {
		response, err := read(api.ListUserActivity(ctx, user, &openapi.ListUserActivityParams{Limit: &size, Cursor: cursor}))
		page, err := decoded[openapi.UserActivityList](response, err)
		now = response.at
		return page.Activity, page.NextCursor, err
	})
	if err != nil {
		return err
	}
	defer c.truncated(more, how.limit)
	if how.style.json() {
		return c.json(openapi.UserActivityList{Status: "success", UserID: user, Activity: all})
	}
	if len(all) == 0 {
		c.note("the user has no executions")
		return nil
	}
	return c.print(c.activity(all, now))
}

// activity formats executions as a table without columns that are empty in all rows.
func (c console) activity(all []openapi.Execution, now time.Time) string {
	code := ""
	rows := make([][]cell, len(all))
	for i, e := range all {
		code = cmp.Or(code, e.Currency)
		status := plain(string(e.Status))
		if e.Status != openapi.ExecutionStatusSuccess {
			status.colour = ansiRed
		}
		joined := ""
		if len(e.Joined) > 0 {
			joined = fmt.Sprint(len(e.Joined))
		}
		unknown, unpriced := int64(0), e.TokensUsed
		if e.Usage == openapi.ExecutionUsageUnknown {
			unknown = 1
		}
		if e.CostUSD != nil {
			unpriced -= e.InputTokens + e.OutputTokens
		}
		rows[i] = []cell{
			plain(age(e.CreatedAt, now)), brief(e.AgentName), brief(deref(e.ModelUsed)), status, plain(fmt.Sprint(e.TokensUsed)), plain(string(e.Usage)),
			costCell(e.CostUSD, unpriced, unknown, e.Usage == openapi.ExecutionUsageEstimated), amount(e.Cost, e.Currency),
			amount(e.ProviderCostUSD, "USD"), plain(joined), plain(e.ExecutionID),
		}
	}
	return c.table(withoutEmpty([]string{"AGE", "AGENT", "MODEL", "STATUS", "TOKENS", "USAGE", "COST", "IN " + code, "CHARGED", "JOINED", "EXECUTION"}, rows))
}
