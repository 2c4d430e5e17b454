package chart

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	promparser "github.com/prometheus/prometheus/promql/parser"
)

// foreign are series made by Prometheus itself or the client library.
var foreign = []string{"up", "ALERTS", "process_resident_memory_bytes", "process_cpu_seconds_total", "go_goroutines"}

var seriesName = regexp.MustCompile(`^watchbill[_:][a-z0-9_:]+$`)

// knownSeries returns the names of series in the program's source: those of metrics and of recording rules. Names
// composed of a prefix and a window end in ratio or similar there.
func knownSeries(t *testing.T) map[string]bool {
	t.Helper()
	known := map[string]bool{}
	for _, folder := range []string{"internal/observe", "internal/report/rules", "controllers"} {
		err := filepath.WalkDir(inTree(folder), func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(node ast.Node) bool {
				if literal, ok := node.(*ast.BasicLit); ok && literal.Kind == token.STRING {
					if name, err := strconv.Unquote(literal.Value); err == nil && seriesName.MatchString(name) {
						known[name] = true
					}
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"watchbill_http_requests_total", "watchbill_ledger_queue_rows", "watchbill:objective_error_budget_remaining:ratio30d"} {
		if !known[name] {
			t.Fatalf("%s is not in the source, which has %v", name, slices.Sorted(maps.Keys(known)))
		}
	}
	return known
}

// checkExpression parses an expression and checks that the series that it selects exist.
func checkExpression(t *testing.T, where, expr string, known map[string]bool) {
	t.Helper()
	parsed, err := promparser.ParseExpr(expr)
	if err != nil {
		t.Errorf("%s: %v in %s", where, err, expr)
		return
	}
	promparser.Inspect(parsed, func(node promparser.Node, _ []promparser.Node) error {
		selector, ok := node.(*promparser.VectorSelector)
		if !ok {
			return nil
		}
		name := selector.Name
		for _, m := range selector.LabelMatchers {
			if m.Name == model.MetricNameLabel && m.Type == labels.MatchEqual {
				name = m.Value
			}
		}
		if !seriesExists(name, known) {
			t.Errorf("%s: there is no series %s", where, name)
		}
		return nil
	})
}

func seriesExists(name string, known map[string]bool) bool {
	if known[name] || slices.Contains(foreign, name) {
		return true
	}
	for _, suffix := range []string{"_bucket", "_sum", "_count"} {
		base, ok := strings.CutSuffix(name, suffix)
		if ok && known[base] && (strings.HasSuffix(base, "_seconds") || base == "watchbill_ledger_batch_rows") {
			return true
		}
	}
	for _, window := range []string{"5m", "30m", "1h", "2h", "6h", "1d", "3d"} {
		if base, ok := strings.CutSuffix(name, window); ok && known[base] && strings.HasSuffix(base, ":ratio") {
			return true
		}
	}
	return false
}

func TestSeriesExist(t *testing.T) {
	t.Parallel()
	known := knownSeries(t)
	for name, want := range map[string]bool{
		"watchbill_http_requests_total": true, "watchbill_db_query_duration_seconds_bucket": true, "watchbill:objective_bad_events:ratio1d": true, "up": true,
		"watchbill_http_request_total": false, "watchbill_agents_bucket": false, "watchbill:objective_bad_events:ratio7d": false, "node_load1": false,
	} {
		if got := seriesExists(name, known); got != want {
			t.Errorf("%s: %t, want %t", name, got, want)
		}
	}
}
