package postgres_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/store/postgres"
)

// keepAll keeps everything at every width.
var keepAll = postgres.ExecutionRetention{
	Executions: 3000 * day, Minutes: 3000 * day, Quarters: 3000 * day, Hours: 3000 * day, Days: 3000 * day,
}

// naiveSpend sums rows by an expression. Another expression selects what counts as a request.
func naiveSpend(t tester, db database, key, counts string, w execution.Window) []execution.SpendOf {
	t.Helper()
	return naive(t, db, func(row pgx.CollectableRow) (g execution.SpendOf, err error) {
		err = row.Scan(&g.Key, &g.Requests, &g.Tokens.Used, &g.Tokens.Input, &g.Tokens.Output, &g.Tokens.CacheRead, &g.Tokens.CacheWrite,
			&g.Tokens.Reasoning, &g.Cost, &g.Unpriced,
			&g.UnknownUsage, &g.Estimated, &g.Provider, &g.ProviderUnpriced, &g.ProviderCompared)
		return g, err
	}, `
		SELECT `+key+`, count(*) FILTER (WHERE `+counts+`), sum(tokens_used)::bigint, sum(input_tokens)::bigint, sum(output_tokens)::bigint,
			sum(cache_read_tokens)::bigint, sum(cache_write_tokens)::bigint, sum(reasoning_tokens)::bigint,
			COALESCE(sum(cost_nano_usd), 0)::bigint, `+unpricedColumn+`, `+evidenceColumns+`
		FROM agent_executions WHERE created_at >= $1 AND created_at < $2 GROUP BY 1`, w.From, w.To)
}

// naiveCosts returns the costs of a scan of the rows.
func naiveCosts(t tester, db database, w execution.Window, q execution.CostQuery) execution.Costs {
	t.Helper()
	var groups []execution.SpendOf
	switch q.GroupBy {
	case execution.ByDay:
		groups = naiveSpend(t, db, `(created_at AT TIME ZONE '`+q.TimeZone+`')::date::text`, `request`, w)
	case execution.ByUser: // only users with something that counts are listed
		groups = slices.DeleteFunc(naiveSpend(t, db, `user_id`, `request`, w),
			func(g execution.SpendOf) bool {
				return g.Requests == 0 && g.Tokens.Used == 0 && g.UnknownUsage == 0 && g.Provider == 0
			})
	case execution.ByAgent:
		groups = naiveSpend(t, db, `agent_name`, `request`, w)
	case execution.ByModel:
		groups = naiveSpend(t, db, `model_used`, `request OR model_used <> ''`, w)
	}
	costs := execution.NewCosts(w, q.GroupBy, groups, q.Limit)
	costs.Total.Requests = 0 // requests, not model calls
	for _, g := range naiveSpend(t, db, `''`, `request`, w) {
		costs.Total.Requests += g.Requests
	}
	return costs
}

// theDays returns the dates of the last days in a zone, and the
// window from the start of the first to the end of the last.
func theDays(t tester, db database, now time.Time, q execution.CostQuery) (dates []string, w execution.Window) {
	t.Helper()
	dates = naive(t, db, pgx.RowTo[string],
		`SELECT (today + n)::text FROM (SELECT ($1::timestamptz AT TIME ZONE $2)::date AS today) AS t, generate_series(1 - $3::int, 0) AS n`, now, q.TimeZone, q.Days)
	begin := `SELECT ($1::date + $2::int)::timestamp AT TIME ZONE $3`
	date, err := time.Parse(time.DateOnly, dates[0])
	if err != nil {
		t.Fatal(err)
	}
	w.From = ask[time.Time](t, db, begin, date, 0, q.TimeZone).UTC()
	w.To = ask[time.Time](t, db, begin, date, q.Days, q.TimeZone).UTC()
	return dates, w
}

// compareCosts checks that the spend is exactly what the rows add up to, and that every day is listed.
func compareCosts(t tester, db database, s *postgres.Executions, now time.Time, q execution.CostQuery, what string) {
	t.Helper()
	what = fmt.Sprintf("%s, %d days up to %s by %s in %s", what, q.Days, now, q.GroupBy, q.TimeZone)
	dates, w := theDays(t, db, now, q)
	want := naiveCosts(t, db, w, q)
	got, err := s.Costs(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	if q.GroupBy == execution.ByDay {
		var keys []string
		for _, g := range got.Groups {
			keys = append(keys, g.Key)
		}
		if !slices.Equal(keys, dates) {
			t.Errorf("%s: want the days %v, got %v", what, dates, keys)
		}
		want.Many = int64(len(dates))
		got.Groups = slices.DeleteFunc(got.Groups, func(g execution.SpendOf) bool { return g.Spend == execution.Spend{} })
		want.Groups = slices.DeleteFunc(want.Groups, func(g execution.SpendOf) bool { return g.Spend == execution.Spend{} })
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("%s (-rows +rollups):\n%s", what, diff)
	}
}

// TestCostsEqualTheRows compares the spend with a scan, in every grouping, before and after a fold. Its
// zones change their clocks, have offsets that are not whole hours, or lack a midnight on some day.
func TestCostsEqualTheRows(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	for name, now := range map[string]time.Time{
		"clocks put back in Europe":       time.Date(2026, 10, 27, 9, 7, 33, 0, time.UTC),
		"clocks put forward in Europe":    time.Date(2026, 3, 31, 22, 59, 59, 0, time.UTC),
		"clocks put forward in the south": time.Date(2026, 9, 8, 3, 15, 0, 0, time.UTC),
		"a turn of the year":              time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(seed, uint64(now.Unix())))
			db := newDatabase(t)
			s := storeAt(t, db, now, keepAll)
			const days = 5
			zones := []string{
				"UTC", "Europe/Berlin", "Asia/Kolkata", "America/St_Johns", "Pacific/Chatham", "Atlantic/Azores", "America/Santiago", "Pacific/Kiritimati",
			}
			store := func() {
				var some []execution.Execution
				for range 500 {
					at := now.Add(execution.MaxAhead - time.Duration(random.Int64N(int64(days*day))))
					if random.IntN(2) == 0 { // around the midnight of a zone
						zone, err := time.LoadLocation(zones[random.IntN(len(zones))])
						if err != nil {
							t.Fatal(err)
						}
						local := at.In(zone)
						midnight := time.Date(local.Year(), local.Month(), local.Day(), 0, 0, 0, 0, zone)
						at = midnight.Add(time.Duration(random.Int64N(int64(40*time.Minute)) - int64(20*time.Minute)))
					}
					some = append(some, anyExecution(random, at))
				}
				commit(t, s, some...)
			}
			compare := func(what string) {
				for _, zone := range zones {
					for _, by := range []execution.GroupBy{execution.ByDay, execution.ByUser, execution.ByAgent, execution.ByModel} {
						for _, q := range []execution.CostQuery{{Days: 1, Limit: 100}, {Days: days, Limit: 2}, {Days: 2 * days, Limit: 7}} {
							q.TimeZone, q.GroupBy = zone, by
							compareCosts(t, db, s, now, q, what)
						}
					}
				}
			}
			store()
			compare("nothing folded")
			foldAll(t, s)
			store()
			compare("some folded")
			foldAll(t, s)
			compare("all folded")
		})
	}
}

// TestUnpricedIsDistinguished checks that tokens without a price cost nothing, but are counted.
func TestUnpricedIsDistinguished(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	s := newExecutions(t, db)
	of := func(user, model string, tokens int64, cost *int64) execution.Execution {
		return anExecution(func(e *execution.Execution) {
			e.UserID, e.Model, e.Cost, e.CreatedAt = user, model, cost, time.Now().UTC().Truncate(time.Microsecond)
			e.Tokens = execution.Tokens{Input: tokens, Used: tokens}
		})
	}
	commit(t, s, of("ada", "priced", 100, new(int64(700))), of("ada", "free", 10, new(int64(0))), of("ada", "unheard-of", 1, nil), of("bob", "unheard-of", 5, nil))
	spent := func(key string, requests, tokens, cost, unpriced int64) execution.SpendOf {
		return execution.SpendOf{Key: key, Spend: execution.Spend{
			Requests: requests, Tokens: execution.Tokens{Input: tokens, Used: tokens}, Cost: cost, Unpriced: unpriced,
		}}
	}
	for by, want := range map[execution.GroupBy][]execution.SpendOf{
		execution.ByUser:  {spent("ada", 3, 111, 700, 1), spent("bob", 1, 5, 0, 5)},
		execution.ByModel: {spent("priced", 1, 100, 700, 0), spent("free", 1, 10, 0, 0), spent("unheard-of", 2, 6, 0, 6)},
		execution.ByAgent: {spent("planner", 4, 116, 700, 6)},
	} {
		got, err := s.Costs(t.Context(), execution.CostQuery{Days: 2, TimeZone: "UTC", GroupBy: by, Limit: 10})
		if err != nil || got.Total != spent("", 4, 116, 700, 6).Spend {
			t.Errorf("by %s: got %+v in all, %v", by, got.Total, err)
		}
		if diff := cmp.Diff(want, got.Groups); diff != "" {
			t.Errorf("by %s (-want +got):\n%s", by, diff)
		}
	}
}

// TestUsersBeyondTheLimit checks that users beyond the limit are summed up in one group.
func TestUsersBeyondTheLimit(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	s := newExecutions(t, db)
	const users = 3000
	var all []execution.Execution
	var sum execution.Spend
	for i := range users {
		e := anExecution(func(e *execution.Execution) {
			e.UserID, e.Cost = fmt.Sprintf("user-%04d", i), new(int64(i))
			e.CreatedAt = time.Now().UTC().Truncate(time.Microsecond)
		})
		all = append(all, e)
		if i < users-10 {
			sum.Add(execution.Spend{Requests: 1, Tokens: e.Tokens, Cost: *e.Cost})
		}
	}
	commit(t, s, all...)
	for range 2 {
		got, err := s.Costs(t.Context(), execution.CostQuery{Days: 2, TimeZone: "UTC", GroupBy: execution.ByUser, Limit: 10})
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Groups) != 10 || got.Groups[0].Key != "user-2999" || got.Groups[9].Key != "user-2990" || got.Many != users {
			t.Errorf("want the 10 most expensive of %d, got %d of %d", users, len(got.Groups), got.Many)
		}
		if diff := cmp.Diff(&execution.SpendOf{Key: execution.Other, Spend: sum}, got.Rest); diff != "" {
			t.Errorf("the others (-want +got):\n%s", diff)
		}
		if got.Total.Requests != users || got.Total.Cost != users*(users-1)/2 {
			t.Errorf("in all: got %+v", got.Total)
		}
		foldAll(t, s)
	}
	none, err := s.Costs(t.Context(), execution.CostQuery{Days: 2, TimeZone: "UTC", GroupBy: execution.ByUser})
	if err != nil || len(none.Groups) != 0 || none.Rest == nil || none.Rest.Requests != users || none.Many != users {
		t.Errorf("no limit at all: want them all together, got %+v, %v", none, err)
	}
}

// TestOldDaysCountOnce checks that, if only hours or days are kept, days that begin
// within them are approximated from those, and that nothing is counted in two days.
func TestOldDaysCountOnce(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	now := time.Date(2026, 10, 28, 9, 7, 33, 0, time.UTC)
	kept := postgres.ExecutionRetention{Executions: 3000 * day, Minutes: day, Quarters: 3 * day, Hours: 7 * day, Days: 3000 * day}
	s := storeAt(t, db, now, kept)
	var all []execution.Execution
	for range 2000 {
		all = append(all, anyExecution(random, now.Add(-time.Duration(random.Int64N(int64(12*day))))))
	}
	commit(t, s, all...)
	foldAll(t, s)
	if err := s.CleanUp(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	for _, zone := range []string{"UTC", "Europe/Berlin", "Asia/Kolkata", "America/St_Johns", "Pacific/Chatham"} {
		for _, by := range []execution.GroupBy{execution.ByDay, execution.ByUser, execution.ByAgent, execution.ByModel} {
			q := execution.CostQuery{Days: 10, TimeZone: zone, GroupBy: by, Limit: 100}
			got, err := s.Costs(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			_, asked := theDays(t, db, now, q)
			if got.Window.From.After(asked.From) || asked.From.Sub(got.Window.From) >= day || !got.Window.To.Equal(asked.To) {
				t.Errorf("%s: asked of %v, answered of %v", zone, asked, got.Window)
			}
			if want := naiveCosts(t, db, got.Window, q); got.Total != want.Total {
				t.Errorf("by %s in %s: (-rows +rollups):\n%s", by, zone, cmp.Diff(want.Total, got.Total))
			}
			if by == execution.ByDay { // the last two have their quarters
				want := naiveCosts(t, db, execution.Window{From: asked.To.Add(-2 * day), To: asked.To}, q)
				if diff := cmp.Diff(want.Groups[len(want.Groups)-2:], got.Groups[len(got.Groups)-2:]); diff != "" {
					t.Errorf("the last two days in %s (-rows +rollups):\n%s", zone, diff)
				}
			}
		}
	}
}
