package docs_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/promql/parser"

	"github.com/watchbill/watchbill/internal/objective"
	"github.com/watchbill/watchbill/internal/report/rules"
	"github.com/watchbill/watchbill/internal/testkit/tree"
)

// TestEveryAlertHasARunbook checks that each alert has a runbook and is in the index, and that each runbook has an
// alert.
func TestEveryAlertHasARunbook(t *testing.T) {
	t.Parallel()
	alerts := append(alertsOfReports(t), alertsOfChart(t)...)
	slices.Sort(alerts)
	alerts = slices.Compact(alerts)
	if got := runbooks(t); !slices.Equal(got, alerts) {
		t.Errorf("got runbooks of %q, want those of %q", got, alerts)
	}
	index := read(t, "docs/runbooks/README.md")
	for _, alert := range alerts {
		if !strings.Contains(index, "\n| ["+alert+"]("+alert+".md) |") {
			t.Errorf("%s is not in the index", alert)
		}
		page := read(t, "docs/runbooks/"+alert+".md")
		for _, heading := range []string{"# " + alert + "\n", "\n## Impact\n", "\n## Diagnosis\n", "\n## Fix\n"} {
			if !strings.Contains(page, heading) {
				t.Errorf("%s has no heading %q", alert, strings.TrimSpace(heading))
			}
		}
	}
}

// alertsOfReports returns the alerts that the controller makes, for all kinds of objectives.
func alertsOfReports(t *testing.T) []string {
	t.Helper()
	objectives := objective.Resolve(append(objective.Defaults(), objective.Objective{Name: "budget", Cost: &objective.Cost{MaxUSD: "50"}}))
	var names []string
	for _, mode := range []rules.Mode{rules.BurnRate, rules.Threshold} {
		file, _, err := rules.Build(rules.Report{Namespace: "fleet", Name: "daily", Objectives: objectives, Mode: mode}, rules.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, group := range file.Groups {
			for _, rule := range group.Rules {
				if rule.Alert == "" {
					continue
				}
				names = append(names, rule.Alert)
				if want := rules.DefaultRunbookURL + "/" + rule.Alert + ".md"; rule.Annotations["runbook_url"] != want {
					t.Errorf("%s has the runbook %s, want %s", rule.Alert, rule.Annotations["runbook_url"], want)
				}
			}
		}
	}
	return names
}

var alertInChart = regexp.MustCompile(`alert: (Watchbill[A-Za-z]+)`)

// alertsOfChart returns the alerts that the chart makes.
func alertsOfChart(t *testing.T) []string {
	t.Helper()
	var names []string
	walk(t, "charts/watchbill/templates", func(path string) {
		for _, match := range alertInChart.FindAllStringSubmatch(read(t, path), -1) {
			names = append(names, match[1])
		}
	})
	if len(names) == 0 {
		t.Fatal("the chart makes no alerts")
	}
	return names
}

// walk calls visit with the path of each file in a folder.
func walk(t *testing.T, folder string, visit func(path string)) {
	t.Helper()
	err := fs.WalkDir(os.DirFS(tree.Root()), folder, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			visit(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

var (
	promqlInline = regexp.MustCompile("`([^`\n]*watchbill_[a-z_]+[({\\[][^`\n]*)`")
	seriesInCode = regexp.MustCompile(`"(watchbill_[a-z0-9_]+)"`)
)

// TestQueries checks that each line of PromQL can be parsed and selects existing series.
func TestQueries(t *testing.T) {
	t.Parallel()
	known := knownSeries(t)
	checked := 0
	for _, page := range pages(t) {
		text := read(t, page)
		var queries []string
		for _, block := range blocks(text, "promql") {
			queries = append(queries, strings.Split(strings.TrimSpace(block), "\n")...)
		}
		for _, match := range promqlInline.FindAllStringSubmatch(text, -1) {
			queries = append(queries, match[1])
		}
		for _, query := range queries {
			expr, err := parser.ParseExpr(query)
			if err != nil {
				t.Errorf("%s: %v in %s", page, err, query)
				continue
			}
			checked++
			parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
				selector, ok := node.(*parser.VectorSelector)
				if !ok {
					return nil
				}
				name := selector.Name
				for _, suffix := range []string{"_bucket", "_sum", "_count"} {
					if base := strings.TrimSuffix(name, suffix); known[base] && strings.HasSuffix(base, "_seconds") {
						name = base
					}
				}
				if !known[name] {
					t.Errorf("%s: there is no series %s", page, selector.Name)
				}
				return nil
			})
		}
	}
	if checked < 30 {
		t.Errorf("found %d queries, want all", checked)
	}
}

// knownSeries returns the series named in the source.
func knownSeries(t *testing.T) map[string]bool {
	t.Helper()
	known := map[string]bool{}
	for _, folder := range []string{"internal/observe", "controllers"} {
		walk(t, folder, func(path string) {
			if filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
				return
			}
			for _, match := range seriesInCode.FindAllStringSubmatch(read(t, path), -1) {
				known[match[1]] = true
			}
		})
	}
	return known
}
