package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/text"
)

// executionFilters are the flags that select executions.
type executionFilters struct {
	agent, model, user, session, trace, id, status, kind, err, from, to string
	minDuration, maxDuration, since                                     time.Duration
	minCost, maxCost                                                    float64

	flags *pflag.FlagSet
}

func (f *executionFilters) bind(flags *pflag.FlagSet) {
	f.flags = flags
	flags.StringVar(&f.agent, "agent", "", "`name` of the agent")
	flags.StringVar(&f.model, "model", "", "`name` of the model")
	flags.StringVar(&f.user, "user", "", "`id` of the user")
	flags.StringVar(&f.session, "session", "", "`id` of the session")
	flags.StringVar(&f.trace, "trace", "", "`id` of the trace")
	flags.StringVar(&f.id, "id", "", "`id` of the execution")
	flags.StringVar(&f.status, "status", "", "`status`: success, failure, timeout, or failed for both of these")
	flags.StringVar(&f.kind, "kind", "", "`kind`: agent, inference or tool")
	flags.StringVar(&f.err, "error", "", "`text` that the error message contains, in any case")
	flags.DurationVar(&f.minDuration, "min-duration", 0, "shortest `duration`, such as 1.5s")
	flags.DurationVar(&f.maxDuration, "max-duration", 0, "longest `duration`")
	flags.Float64Var(&f.minCost, "min-cost", 0, "lowest cost in `USD`; leaves out executions without a cost")
	flags.Float64Var(&f.maxCost, "max-cost", 0, "highest cost in `USD`; leaves out executions without a cost")
	flags.DurationVar(&f.since, "since", 0, "`duration` before now at which the window begins, such as 24h")
	flags.StringVar(&f.from, "from", "", "`time` at which the window begins, as in RFC 3339")
	flags.StringVar(&f.to, "to", "", "`time` at which the window ends, as in RFC 3339")
}

// params returns the filters as query parameters. The server checks values that only it knows.
func (f *executionFilters) params(wrong *faults, now time.Time) openapi.ListExecutionsParams {
	var p openapi.ListExecutionsParams
	given := f.flags.Changed
	set := func(name, value string, into **string) {
		wrong.add(given(name) && value == "", "--"+name, "must not be empty")
		if value != "" {
			*into = &value
		}
	}
	set("agent", f.agent, &p.Agent)
	set("model", f.model, &p.Model)
	set("user", f.user, &p.UserID)
	set("session", f.session, &p.SessionID)
	set("trace", f.trace, &p.TraceID)
	set("id", f.id, &p.ExecutionID)
	set("error", f.err, &p.Error)
	if status := openapi.ExecutionStatusFilter(f.status); given("status") {
		wrong.add(!status.Valid(), "--status", "must be success, failure, timeout or failed, not %q", text.FitRunes(f.status, 40))
		p.Status = &status
	}
	if kind := openapi.ExecutionKind(f.kind); given("kind") {
		wrong.add(!kind.Valid(), "--kind", "must be agent, inference or tool, not %q", text.FitRunes(f.kind, 40))
		p.Kind = &kind
	}
	if given("min-duration") {
		p.MinDurationMs = new(float64(f.minDuration.Microseconds()) / 1e3)
	}
	if given("max-duration") {
		p.MaxDurationMs = new(float64(f.maxDuration.Microseconds()) / 1e3)
	}
	if given("min-cost") {
		p.MinCostUSD = &f.minCost
	}
	if given("max-cost") {
		p.MaxCostUSD = &f.maxCost
	}
	wrong.add(given("since") && f.from != "", "--since", "must not be given together with --from")
	wrong.add(given("since") && f.since <= 0, "--since", "must be more than 0")
	if f.since > 0 {
		p.From = new(now.Add(-f.since))
	}
	for _, bound := range []struct {
		name, value string
		into        **time.Time
	}{{"from", f.from, &p.From}, {"to", f.to, &p.To}} {
		if !given(bound.name) {
			continue
		}
		at, err := time.Parse(time.RFC3339, bound.value)
		wrong.add(err != nil, "--"+bound.name, "must be a time as in RFC 3339, such as 2006-01-02T15:04:05Z")
		*bound.into = &at
	}
	return p
}

func executionListCommand(std stdio, env func(string) (string, bool)) *cobra.Command {
	var o struct {
		access  access
		listing listing
		filters executionFilters
	}
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List executions that match all given filters, newest first",
		Example: "  watchbill executions list --status failed --since 24h\n  watchbill executions list --session s-17\n  watchbill executions list --model gpt-4o --min-cost 0.5",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var wrong faults
			o.listing.check(&wrong)
			params := o.filters.params(&wrong, time.Now())
			api := o.access.client(&wrong)
			if err := wrong.err(); err != nil {
				return err
			}
			defer api.close()
			return listExecutions(cmd.Context(), newConsole(std, env), api, params, o.listing)
		},
	}
	o.access.bind(cmd.Flags())
	o.listing.bind(cmd.Flags())
	o.filters.bind(cmd.Flags())
	return cmd
}

func listExecutions(ctx context.Context, c console, api *client, params openapi.ListExecutionsParams, how listing) error {
	var now time.Time
	all, more, err := pages(how.limit, 500, func(size int32, cursor *string) ([]openapi.ExecutionSummary, string, error) {
		params.Limit, params.Cursor = &size, cursor
		response, err := read(api.ListExecutions(ctx, &params))
		page, err := decoded[openapi.ExecutionSummaryList](response, err)
		now = response.at
		return page.Executions, page.NextCursor, err
	})
	if err != nil {
		return err
	}
	defer c.truncated(more, how.limit)
	if how.style.json() {
		return c.json(openapi.ExecutionSummaryList{Status: "success", Executions: all})
	}
	if len(all) == 0 {
		c.note("no execution matches")
		return nil
	}
	return c.print(c.executions(all, now))
}

// executions formats executions as a table without columns that are empty in all rows.
func (c console) executions(all []openapi.ExecutionSummary, now time.Time) string {
	rows := make([][]cell, len(all))
	for i := range all {
		e := &all[i]
		rows[i] = []cell{
			plain(age(e.CreatedAt, now)), brief(e.AgentName), brief(deref(e.ModelUsed)), brief(e.UserID), brief(deref(e.SessionID)), plain(string(e.Kind)),
			statusCell(e.Status), plain(took(e)), plain(fmt.Sprint(e.TokensUsed)), costOf(e), plain(e.ExecutionID), brief(deref(e.ErrorMessage)),
		}
	}
	head, rows := withoutEmpty(
		[]string{"AGE", "AGENT", "MODEL", "USER", "SESSION", "KIND", "STATUS", "TOOK", "TOKENS", "COST", "EXECUTION", "ERROR"}, rows,
	)
	return c.table(head, rows)
}

func statusCell(status openapi.ExecutionStatus) cell {
	if status == openapi.ExecutionStatusSuccess {
		return plain(string(status))
	}
	return cell{string(status), ansiRed}
}

// took returns how long an execution took.
func took(e *openapi.ExecutionSummary) string {
	return (time.Duration(e.ExecutionTimeMs*1e3) * time.Microsecond).Round(time.Millisecond).String()
}

func costOf(e *openapi.ExecutionSummary) cell {
	unknown, unpriced := int64(0), e.TokensUsed
	if e.Usage == openapi.ExecutionUsageUnknown {
		unknown = 1
	}
	if e.CostUSD != nil {
		unpriced = max(unpriced-e.InputTokens-e.OutputTokens, 0)
	}
	return costCell(e.CostUSD, unpriced, unknown, e.Usage == openapi.ExecutionUsageEstimated)
}

func executionShowCommand(std stdio, env func(string) (string, bool)) *cobra.Command {
	var o struct {
		access   access
		style    style
		user, at string
	}
	cmd := &cobra.Command{
		Use:     "show ID",
		Short:   "Show one execution with its input, output, price and trace",
		Example: "  watchbill executions show 4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var wrong faults
			o.style.check(&wrong)
			wrong.add(args[0] == "", "ID", "must not be empty")
			wrong.add(cmd.Flags().Changed("user") && o.user == "", "--user", "must not be empty")
			var params openapi.GetExecutionParams
			if o.user != "" {
				params.UserID = &o.user
			}
			if cmd.Flags().Changed("began") {
				params.CreatedAt = new(moment(&wrong, "--began", o.at))
			}
			api := o.access.client(&wrong)
			if err := wrong.err(); err != nil {
				return err
			}
			defer api.close()
			response, err := read(api.GetExecution(cmd.Context(), args[0], &params))
			got, err := decoded[openapi.ExecutionAnswer](response, err)
			if err != nil {
				return err
			}
			c := newConsole(std, env)
			if o.style.json() {
				return c.json(got)
			}
			return c.print(c.execution(&got))
		},
	}
	o.access.bind(cmd.Flags())
	o.style.bind(cmd.Flags())
	cmd.Flags().StringVar(&o.user, "user", "", "`id` of the user, if several executions have the id; otherwise the newest is shown")
	cmd.Flags().StringVar(&o.at, "began", "", "`time` at which the execution began, as in RFC 3339, if the user has several with the id")
	return cmd
}

// execution formats an execution for people.
func (c console) execution(a *openapi.ExecutionAnswer) string {
	e := &a.Execution
	rows := [][]cell{
		{plain("Execution"), plain(e.ExecutionID)},
		{plain("Began"), plain(e.CreatedAt.UTC().Format(time.RFC3339Nano))},
		{plain("User"), plain(e.UserID)},
		{plain("Session"), plain(deref(e.SessionID))},
		{plain("Agent"), plain(e.AgentName)},
		{plain("Kind"), plain(string(e.Kind))},
		{plain("Status"), statusCell(e.Status)},
		{plain("Error"), plain(deref(e.ErrorMessage))},
		{plain("Took"), plain((time.Duration(e.ExecutionTimeMs*1e3) * time.Microsecond).String())},
		{plain("Model"), plain(strings.TrimSpace(e.Provider + " " + deref(e.ModelUsed)))},
		{plain("Tokens"), plain(tokensLine(e))},
		{plain("Cost"), amount(e.CostUSD, "USD")},
		{plain("Price"), plain(priceLine(a))},
		{plain("Input"), plain(oneLine(e.InputData))},
		{plain("Output"), plain(oneLine(e.OutputData))},
	}
	kept := rows[:0]
	for _, row := range rows {
		if row[1].text != "" {
			kept = append(kept, row)
		}
	}
	out := c.table(nil, kept)
	if a.Trace == nil {
		return out
	}
	var tree [][]cell
	var walk func(nodes []openapi.ExecutionNode, depth int)
	walk = func(nodes []openapi.ExecutionNode, depth int) {
		for i := range nodes {
			n := &nodes[i].Execution
			mark := ""
			if n.ExecutionID == e.ExecutionID && n.UserID == e.UserID && n.CreatedAt.Equal(e.CreatedAt) {
				mark = "*"
			}
			tree = append(tree, []cell{
				plain(mark), brief(strings.Repeat("  ", depth) + n.AgentName), plain(string(n.Kind)), brief(deref(n.ModelUsed)), statusCell(n.Status), plain(took(n)),
				plain(fmt.Sprint(n.TokensUsed)), costOf(n), plain(n.ExecutionID),
			})
			walk(nodes[i].Children, depth+1)
		}
	}
	walk(a.Trace.Roots, 0)
	head, tree := withoutEmpty([]string{"", "TRACE", "KIND", "MODEL", "STATUS", "TOOK", "TOKENS", "COST", "EXECUTION"}, tree)
	out += "\n" + c.table(head, tree)
	if !a.Trace.Complete {
		out += "\nThe trace has more executions than these.\n"
	}
	return out
}

func tokensLine(e *openapi.Execution) string {
	line := fmt.Sprintf("%d (%d in, %d out", e.TokensUsed, e.InputTokens, e.OutputTokens)
	for _, part := range []struct {
		n    int64
		name string
	}{{e.CacheReadTokens, "read from a cache"}, {e.CacheWriteTokens, "written to a cache"}, {e.ReasoningTokens, "reasoning"}} {
		if part.n > 0 {
			line += fmt.Sprintf(", %d %s", part.n, part.name)
		}
	}
	return line + ")"
}

func priceLine(a *openapi.ExecutionAnswer) string {
	p := a.Price
	if p == nil {
		return ""
	}
	line := fmt.Sprintf("%s: %g USD per million tokens in, %g out; version %s", p.Model, p.USDPerMillionTokens["input"], p.USDPerMillionTokens["output"], p.Version)
	if !p.InForce {
		line += " (the cost comes from " + a.Execution.PriceVersion + ")"
	}
	return line
}

// oneLine returns JSON on one line, shortened.
func oneLine(value json.RawMessage) string {
	var compact bytes.Buffer
	if len(value) == 0 || string(value) == "null" || json.Compact(&compact, value) != nil {
		return ""
	}
	return text.FitRunes(compact.String(), 1000)
}

func executionExportCommand(std stdio, env func(string) (string, bool)) *cobra.Command {
	var o struct {
		access       access
		filters      executionFilters
		format, path string
		limit        int32
	}
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write executions that match all given filters as CSV or NDJSON",
		Long: `Write executions that match all given filters as CSV or NDJSON, newest first, without input and output.
In CSV, texts that a spreadsheet would take for a formula begin with an apostrophe.`,
		Example: "  watchbill executions export --since 720h --output executions.csv\n  watchbill executions export --user ada --format ndjson | jq .cost_usd",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var wrong faults
			params := o.filters.params(&wrong, time.Now())
			format := openapi.ExecutionListFormat(o.format)
			wrong.add(format != openapi.ExecutionListFormatCSV && format != openapi.ExecutionListFormatNdjson, "--format", "must be csv or ndjson, not %q", text.FitRunes(o.format, 40))
			wrong.add(o.limit < 1 || o.limit > 1_000_000, "--limit", "must be from 1 to 1000000")
			api := o.access.client(&wrong)
			if err := wrong.err(); err != nil {
				return err
			}
			defer api.close()
			params.Format, params.Limit = &format, &o.limit
			return exportExecutions(cmd.Context(), newConsole(std, env), api, params, o.path)
		},
	}
	o.access.bind(cmd.Flags())
	o.filters.bind(cmd.Flags())
	cmd.Flags().StringVarP(&o.format, "format", "o", "csv", "`format`: csv or ndjson")
	cmd.Flags().StringVar(&o.path, "output", "", "`file` to write; without it, standard output")
	cmd.Flags().Int32Var(&o.limit, "limit", 1_000_000, "max `number` of executions")
	return cmd
}

// maxExportBytes and exportTimeout limit an export.
const (
	maxExportBytes = 4 << 30
	exportTimeout  = 6 * time.Minute
)

// exportExecutions copies the response as it arrives. A file appears only once it is complete.
func exportExecutions(ctx context.Context, c console, api *client, params openapi.ListExecutionsParams, path string) error {
	out := c.text()
	var file *newFile
	if path != "" {
		var err error
		if file, err = createFile(path); err != nil {
			return err
		}
		defer file.discard()
		out = file.file
	}
	api.exchange.maxBody = maxExportBytes
	api.exchange.http.Timeout = max(api.exchange.timeout, exportTimeout)
	resp, err := api.ListExecutions(ctx, &params)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err != nil || file == nil {
		return err
	}
	return file.commit(nil)
}
