package dashboards

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/watchbill/watchbill/internal/testkit/tree"
)

// dataWithin limits the wait until every query has found data.
const dataWithin = 4 * time.Minute

// query is one query of a panel, as Grafana sends it.
type query struct{ where, expr string }

// substitutes are the values of the dashboards' variables: All, as when a dashboard is opened, and a route.
var substitutes = strings.NewReplacer(
	"$__rate_interval", "1m", "$__range", "10m", "$__interval", "15s", "$route", "/api/executions",
	"$report_namespace", ".*", "$report", ".*", "$objective", ".*",
	"$job", ".*", "$namespace", ".*", "$agent", ".*", "$model", ".*",
)

// queries returns the queries of all dashboards.
func queries(t *testing.T) []query {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(tree.Root(), "charts", "watchbill", "files", "dashboards", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("found %d dashboards: %v", len(files), err)
	}
	var all []query
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var dashboard struct {
			Title      string `json:"title"`
			Templating struct {
				List []struct {
					Name       string `json:"name"`
					Definition string `json:"definition"`
				} `json:"list"`
			} `json:"templating"`
			Panels []struct {
				Title   string `json:"title"`
				Targets []struct {
					Expr string `json:"expr"`
				} `json:"targets"`
			} `json:"panels"`
		}
		if err := json.Unmarshal(content, &dashboard); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, v := range dashboard.Templating.List {
			if definition, ok := strings.CutPrefix(v.Definition, "label_values("); ok {
				series, label, _ := strings.Cut(strings.TrimSuffix(definition, ")"), ", ")
				all = append(all, query{
					fmt.Sprintf("%s, variable %s", dashboard.Title, v.Name),
					fmt.Sprintf(`group by (%s) ({__name__!="",%s!=""} and on () group(%s))`, label, label, substitutes.Replace(series)),
				})
			}
		}
		for _, p := range dashboard.Panels {
			for _, target := range p.Targets {
				all = append(all, query{dashboard.Title + ", panel " + p.Title, substitutes.Replace(target.Expr)})
			}
		}
	}
	return all
}

func TestEveryQueryFindsData(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	prometheus := startPrometheus(t, server, startController(t))
	work := newWorkload(t, server)
	waiting := queries(t)
	t.Logf("%d queries", len(waiting))
	deadline := time.After(dataWithin)
	rounds := time.NewTicker(time.Second)
	defer rounds.Stop()
	for len(waiting) > 0 && !t.Failed() {
		work.round(t)
		var empty []query
		for _, q := range waiting {
			found, err := prometheus.finds(t.Context(), q.expr)
			if err != nil {
				t.Fatalf("%s: %v\n%s", q.where, err, q.expr)
			}
			if !found {
				empty = append(empty, q)
			}
		}
		waiting = empty
		select {
		case <-rounds.C:
		case <-deadline:
			for _, q := range waiting {
				t.Errorf("%s: no data\n%s", q.where, q.expr)
			}
		}
	}
}
