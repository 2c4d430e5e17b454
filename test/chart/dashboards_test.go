package chart

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// dashboard is the part of Grafana's model that is checked.
type dashboard struct {
	UID        string `json:"uid"`
	Title      string `json:"title"`
	Templating struct {
		List []struct {
			Name       string `json:"name"`
			Type       string `json:"type"`
			Definition string `json:"definition"`
		} `json:"list"`
	} `json:"templating"`
	Panels []struct {
		ID         int             `json:"id"`
		Type       string          `json:"type"`
		Title      string          `json:"title"`
		Datasource json.RawMessage `json:"datasource"`
		GridPos    struct {
			X int `json:"x"`
			Y int `json:"y"`
			W int `json:"w"`
			H int `json:"h"`
		} `json:"gridPos"`
		Targets []struct {
			Expr       string          `json:"expr"`
			RefID      string          `json:"refId"`
			Datasource json.RawMessage `json:"datasource"`
		} `json:"targets"`
	} `json:"panels"`
}

var (
	builtIn     = strings.NewReplacer("$__rate_interval", "5m", "$__range", "1d", "$__interval", "1m")
	variable    = regexp.MustCompile(`\$\{?([a-z_]+)\}?`)
	labelValues = regexp.MustCompile(`^label_values\((.+), [a-z_]+\)$`)
)

func TestDashboards(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(chartFile("files", "dashboards", "*.json"))
	if err != nil || len(files) != 3 {
		t.Fatalf("found %v, %v", files, err)
	}
	known := knownSeries(t)
	uids := map[string]string{}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			var d dashboard
			if err := json.Unmarshal([]byte(readFile(t, file)), &d); err != nil {
				t.Fatal(err)
			}
			if other, taken := uids[d.UID]; taken || d.UID == "" || len(d.UID) > 40 || d.Title == "" {
				t.Errorf("uid %q (also %q), title %q", d.UID, other, d.Title)
			}
			uids[d.UID] = file
			d.check(t, known)
		})
	}
}

func (d dashboard) check(t *testing.T, known map[string]bool) {
	t.Helper()
	var variables []string
	for _, v := range d.Templating.List {
		if v.Type == "query" {
			match := labelValues.FindStringSubmatch(v.Definition)
			if match == nil {
				t.Errorf("variable %s: %s", v.Name, v.Definition)
				continue
			}
			d.checkQuery(t, "variable "+v.Name, match[1], variables, known)
		}
		variables = append(variables, v.Name) // later variables may use it
	}
	if !slices.Contains(variables, "datasource") {
		t.Error("there is no variable for the data source")
	}
	const source = `{"type":"prometheus","uid":"${datasource}"}`
	isSource := func(raw json.RawMessage) bool {
		text := strings.Join(strings.Fields(string(raw)), "")
		return text == source
	}
	taken := map[[2]int]string{}
	ids := map[int]bool{}
	for _, p := range d.Panels {
		where := fmt.Sprintf("panel %d (%s)", p.ID, p.Title)
		if ids[p.ID] || p.Title == "" {
			t.Errorf("%s: no title, or an id twice", where)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" || x >= 24 {
					t.Fatalf("%s lies on %s, or sticks out", where, other)
				}
				taken[[2]int{x, y}] = where
			}
		}
		if p.Type == "row" {
			continue
		}
		if len(p.Targets) == 0 || !isSource(p.Datasource) {
			t.Errorf("%s: %d queries, data source %s", where, len(p.Targets), p.Datasource)
		}
		for _, target := range p.Targets {
			if !isSource(target.Datasource) {
				t.Errorf("%s %s: data source %s", where, target.RefID, target.Datasource)
			}
			d.checkQuery(t, where+" "+target.RefID, target.Expr, variables, known)
		}
	}
}

// checkQuery substitutes the variables and checks the result.
func (dashboard) checkQuery(t *testing.T, where, query string, variables []string, known map[string]bool) {
	t.Helper()
	query = builtIn.Replace(query)
	query = variable.ReplaceAllStringFunc(query, func(found string) string {
		name := variable.FindStringSubmatch(found)[1]
		if !slices.Contains(variables, name) {
			t.Errorf("%s: there is no variable %s", where, name)
		}
		return "some"
	})
	checkExpression(t, where, query, known)
}

// TestBurnRate has promtool compute the dashboard's values of an objective that allows 1 % of bad events: 2 % were bad
// in 30 days and 5 % in the last hour, and another objective had no events.
func TestBurnRate(t *testing.T) {
	t.Parallel()
	var d dashboard
	if err := json.Unmarshal([]byte(readFile(t, chartFile("files", "dashboards", "objectives.json"))), &d); err != nil {
		t.Fatal(err)
	}
	for _, p := range d.Panels {
		if p.Title != "Burn rate, 1 hour" {
			continue
		}
		query := variable.ReplaceAllString(p.Targets[0].Expr, ".*")
		test := writeFile(t, "burn.yaml", `
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - {series: 'watchbill:objective_events:increase5m{objective="bad"}', values: '100x60'}
      - {series: 'watchbill:objective_bad_events:increase5m{objective="bad"}', values: '2x60'}
      - {series: 'watchbill:objective_bad_events:ratio1h{objective="bad"}', values: '0.05x60'}
      - {series: 'watchbill:objective_error_budget_remaining:ratio30d{objective="bad"}', values: '-1x60'}
      - {series: 'watchbill:objective_events:increase5m{objective="good"}', values: '100x60'}
      - {series: 'watchbill:objective_bad_events:increase5m{objective="good"}', values: '0x60'}
      - {series: 'watchbill:objective_bad_events:ratio1h{objective="good"}', values: '0x60'}
      - {series: 'watchbill:objective_error_budget_remaining:ratio30d{objective="good"}', values: '1x60'}
    promql_expr_test:
      - eval_time: 60m
        expr: 'round(`+query+`, 0.001)'
        exp_samples:
          - {labels: '{objective="bad"}', value: 5}
          - {labels: '{objective="good"}', value: 0}
`)
		if out, err := run(t, tool(t, "promtool"), "test", "rules", test); err != nil {
			t.Errorf("%v: %s", err, out)
		}
		return
	}
	t.Error("there is no such panel")
}

// TestDashboardsAreInstalled checks that what Grafana's sidecar finds is what is in the files.
func TestDashboardsAreInstalled(t *testing.T) {
	t.Parallel()
	all := objects(t, render(t, "--show-only", "templates/dashboards.yaml", "--values", chartFile("ci", "full-values.yaml")))
	for _, name := range []string{"fleet", "executions", "objectives"} {
		object := find(t, all, "ConfigMap", "fleet-control-dashboard-"+name)
		if object.GetLabels()["grafana_dashboard"] != "1" || object.GetNamespace() != "monitoring" || object.GetAnnotations()["grafana_folder"] != "Watchbill" {
			t.Errorf("%s: labels %v, namespace %s, annotations %v", name, object.GetLabels(), object.GetNamespace(), object.GetAnnotations())
		}
		data, _, err := unstructured.NestedStringMap(object.Object, "data")
		if err != nil {
			t.Fatal(err)
		}
		if got, want := strings.TrimSpace(data["watchbill-"+name+".json"]), strings.TrimSpace(readFile(t, chartFile("files", "dashboards", name+".json"))); got != want {
			t.Errorf("%s: what is installed is not what is in the file", name)
		}
	}
}
