package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/test/rig"
)

// page measures what the web page asks for and what it costs the server.
func page(ctx context.Context, b *bench) (_ []figure, err error) {
	dir := filepath.Join(b.dir, "page")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	postgres, err := rig.StartPostgres(ctx, rig.PostgresOptions{Dir: filepath.Join(dir, "postgres"), Settings: map[string]string{
		"shared_buffers": "512MB", "max_wal_size": "2GB", "wal_level": "minimal", "max_wal_senders": "0", "maintenance_work_mem": "256MB",
	}})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, postgres.Close()) }()
	var figures []figure
	for _, part := range []struct {
		rows    int64
		measure func(ctx context.Context, p *past) ([]figure, error)
	}{
		{or[int64](b, 1_000_000, 100_000), b.pageViews},
		{or[int64](b, 10_000_000, 1_000_000), b.listExecutions},
	} {
		found, err := b.withPast(ctx, postgres, dir, part.rows, part.measure)
		figures = append(figures, found...)
		if err != nil {
			return figures, err
		}
	}
	return figures, nil
}

// withPast measures on a server with a history of 31 days, and drops its database.
func (b *bench) withPast(ctx context.Context, postgres *rig.Postgres, dir string, rows int64, measure func(context.Context, *past) ([]figure, error)) (_ []figure, err error) {
	p, err := b.makePast(ctx, postgres, dir, history{rows: rows, days: historyDays, traces: true})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.drop(ctx, postgres)) }()
	if err := p.connect(ctx); err != nil {
		return nil, err
	}
	return measure(ctx, p)
}

// drop stops the server and drops its database.
func (p *past) drop(ctx context.Context, postgres *rig.Postgres) error {
	err := p.close()
	admin, dialed := pgx.Connect(ctx, postgres.URL("postgres"))
	if dialed != nil {
		return errors.Join(err, dialed)
	}
	_, dropped := admin.Exec(ctx, "DROP DATABASE "+pgx.Identifier{p.name()}.Sanitize()+" WITH (FORCE)")
	return errors.Join(err, dropped, admin.Close(context.WithoutCancel(ctx)))
}

// listFilters are the filters of /api/admin/executions, each with a value that some of the history has.
func (p *past) listFilters() map[string]url.Values {
	n := p.rows * 3 / 5
	some := p.row(n)
	day := p.at(n).Truncate(24 * time.Hour)
	return map[string]url.Values{
		"none":            {},
		"agent":           {"agent": {"agent_07"}},
		"model":           {"model": {"claude-3-5-haiku-20241022"}},
		"user_id":         {"user_id": {some.UserID}},
		"session_id":      {"session_id": {some.SessionID}},
		"status":          {"status": {"failed"}},
		"kind":            {"kind": {"tool"}},
		"trace_id":        {"trace_id": {some.TraceID}},
		"execution_id":    {"execution_id": {some.ID}},
		"error":           {"error": {"overloaded"}},
		"min_duration_ms": {"min_duration_ms": {"20000"}},
		"max_duration_ms": {"max_duration_ms": {"1"}},
		"min_cost_usd":    {"min_cost_usd": {"0.0009"}},
		"max_cost_usd":    {"max_cost_usd": {"0.00005"}},
		"window":          {"from": {day.Format(time.RFC3339)}, "to": {day.Add(time.Hour).Format(time.RFC3339)}},
		"unknown":         {"model": {"no such model"}},
	}
}

// apart are filters that exclude one another.
var apart = []string{"max_cost_usd and min_cost_usd", "max_duration_ms and min_duration_ms", "model and unknown"}

// combination is one or two filters, with the CPU time of a page in milliseconds.
type combination struct {
	filters string
	cost    float64
}

// listExecutions measures pages of executions for each filter alone and for each pair.
func (b *bench) listExecutions(ctx context.Context, p *past) ([]figure, error) {
	filters := p.listFilters()
	names := slices.Sorted(maps.Keys(filters))
	var all, medians, costs []float64
	var costliest []combination
	for i, one := range names {
		for _, other := range names[i:] {
			if one != other && (one == "none" || other == "none" || slices.Contains(apart, one+" and "+other)) {
				continue
			}
			query := maps.Clone(filters[one])
			maps.Copy(query, filters[other])
			name := one
			if other != one {
				name += " and " + other
			}
			times, cost, err := p.timed(ctx, "/api/admin/executions?"+query.Encode(), or(b, 21, 11))
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			all, medians, costs = append(all, times...), append(medians, median(times)), append(costs, cost)
			costliest = append(costliest, combination{name, cost})
			if one == other {
				b.logf("%s: %.1f ms, %.1f ms of CPU", name, median(times), cost)
			}
		}
	}
	slices.Sort(medians)
	slices.Sort(costs)
	slices.SortFunc(costliest, func(a, b combination) int { return cmp.Compare(b.cost, a.cost) })
	for _, one := range costliest[:5] {
		b.logf("most CPU: %s: %.1f ms", one.filters, one.cost)
	}
	slices.Sort(all)
	return []figure{
		{"admin_executions_list_ms", median(medians), "ms", atMost(20)},
		{"admin_executions_list_p95_ms", all[len(all)*95/100], "ms", atMost(20)},
		{"admin_executions_list_max_ms", medians[len(medians)-1], "ms", aim{}},
		{"admin_executions_list_cpu_ms", median(costs), "ms", atMost(20)},
		{"admin_executions_list_cpu_max_ms", costs[len(costs)-1], "ms", atMost(20)},
	}, nil
}

// timed requests a path several times. It returns how long each took in milliseconds, without the first, and the CPU time
// of the server and PostgreSQL for each, which other programs on the machine affect less.
func (p *past) timed(ctx context.Context, path string, times int) (took []float64, cost float64, err error) {
	request := rig.Request("GET", path, p.server.Address, "Authorization: Bearer "+rig.AdminToken+"\r\n", nil)
	var before time.Duration
	for n := range times + 1 {
		if err := ctx.Err(); err != nil {
			return nil, 0, err
		}
		began := time.Now()
		response, err := p.reader.Do(request)
		if err := readable(response, err, http.StatusOK); err != nil {
			return nil, 0, fmt.Errorf("%s: %w", path, err)
		}
		if n > 0 {
			took = append(took, time.Since(began).Seconds()*1e3)
		} else if before, err = p.cpu(); err != nil {
			return nil, 0, err
		}
	}
	after, err := p.cpu()
	return took, (after - before).Seconds() * 1e3 / float64(times), err
}

// cpu returns the CPU time of the server and PostgreSQL.
func (p *past) cpu() (time.Duration, error) {
	ours, err := p.server.CPU()
	if err != nil {
		return 0, err
	}
	database, err := p.postgres.CPU()
	return ours + database, err
}

// viewPaths are the requests of the page's views with their usual parameters, by view.
var viewPaths = map[string][]string{
	"overview":   {"/api/health", "/api/admin/metrics?hours=24", "/api/admin/errors?limit=10", "/api/admin/costs?days=30&group_by=day", "/api/admin/metrics/series?hours=24&step=1h"},
	"agents":     {"/api/admin/metrics?hours=720", "/api/admin/metrics/series?hours=720&step=1d&group_by=agent"},
	"executions": {"/api/admin/executions?limit=50"},
	"costs":      {"/api/admin/costs?days=30&group_by=day", "/api/admin/costs?days=30&group_by=model", "/api/admin/costs?days=30&group_by=agent", "/api/admin/costs?days=30&group_by=user&limit=20"},
	"users":      {"/api/admin/users?limit=200", "/api/admin/adoption"},
	"fleet":      {"/api/agents?limit=200"},
	"reports":    {"/api/reports"},
	"events":     {"/api/events"},
}

// pageViews measures the requests of the page's views. A view is filled when it has all responses, here one after the other.
func (b *bench) pageViews(ctx context.Context, p *past) ([]figure, error) {
	var all, users []float64
	var usersCost float64
	for _, view := range slices.Sorted(maps.Keys(viewPaths)) {
		var sums []float64
		for _, path := range viewPaths[view] {
			times, cost, err := p.timed(ctx, path, or(b, 21, 11))
			if err != nil {
				return nil, err
			}
			if strings.HasPrefix(path, "/api/admin/users") {
				users, usersCost = times, cost
			}
			if sums == nil {
				sums = make([]float64, len(times))
			}
			for i := range times {
				sums[i] += times[i]
			}
			b.logf("%s: %s: %.1f ms, %.1f ms of CPU", view, path, median(times), cost)
		}
		all = append(all, sums...)
	}
	slices.Sort(all)
	figures := []figure{
		{"page_view_requests_p95_ms", all[len(all)*95/100], "ms", atMost(200)},
		{"admin_users_ms", median(users), "ms", atMost(200)},
		{"admin_users_cpu_ms", usersCost, "ms", atMost(200)},
	}
	for _, measure := range []func(context.Context, *past) ([]figure, error){b.browse, b.liveTabs} {
		found, err := measure(ctx, p)
		figures = append(figures, found...)
		if err != nil {
			return figures, err
		}
	}
	return figures, nil
}
