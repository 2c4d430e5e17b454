package rules_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/watchbill/watchbill/internal/objective"
	"github.com/watchbill/watchbill/internal/report/rules"
)

// expected is the value of an expression after some minutes.
type expected struct {
	minute int
	expr   string
	value  float64
}

// firing counts the firing alerts, without those about the report's own series.
const firing = `count(ALERTS{alertstate="firing",objective!=""}) or vector(0)`

// scenario evaluates the rules of a report over series with promtool, one sample per minute.
func scenario(t *testing.T, r rules.Report, series [][2]string, want ...expected) {
	t.Helper()
	dir := folder(t, r, rules.Options{}, nil)
	var text strings.Builder
	text.WriteString("rule_files: [rules.yaml]\nevaluation_interval: 1m\ntests:\n  - interval: 1m\n    input_series:\n")
	for _, s := range series {
		fmt.Fprintf(&text, "      - series: '%s'\n        values: '%s'\n", s[0], s[1])
	}
	text.WriteString("    promql_expr_test:\n")
	for _, w := range want {
		fmt.Fprintf(&text, "      - expr: 'sum(%s)'\n        eval_time: %dm\n        exp_samples: [{labels: \"{}\", value: %v}]\n", w.expr, w.minute, w.value)
	}
	if err := os.WriteFile(filepath.Join(dir, "tests.yaml"), []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := runPromtool(t, dir, "test", "rules", "tests.yaml"); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// api returns the series of a replica that is scraped for a number of minutes.
func api(instance string, minutes int) [2]string {
	return [2]string{fmt.Sprintf(`watchbill_build_info{job="api",instance="%s"}`, instance), fmt.Sprintf("1x%d", minutes)}
}

// TestRelabelingKeepsHistory adds a label to all series of a long-running replica.
func TestRelabelingKeepsHistory(t *testing.T) {
	t.Parallel()
	r := daily(success("0.95", ""), cost("window", "50", objective.PeriodWindow))
	r.Window = 24 * time.Hour
	series := [][2]string{
		{`watchbill_build_info{job="api",instance="a"}`, "1x199 stale"},
		{`watchbill_build_info{job="api",instance="a",cluster="eu"}`, "_x200 1x100"},
	}
	for _, s := range [][2]string{
		{`watchbill_executions_total{job="api",instance="a",agent="x",model="m",status="success"%s}`, "82000+1x"},
		{`watchbill_executions_total{job="api",instance="a",agent="x",model="m",status="failure"%s}`, "30000+0x"},
		{`watchbill_cost_usd_total{job="api",instance="a",agent="x",model="m"%s}`, "902+0.001x"},
	} {
		series = append(series,
			[2]string{fmt.Sprintf(s[0], ""), s[1] + "199 stale"},
			[2]string{fmt.Sprintf(s[0], `,cluster="eu"`), "_x200 " + s[1] + "100"})
	}
	// A series that is new after the relabeling still counts from its first event.
	series = append(series, [2]string{`watchbill_executions_total{job="api",instance="a",agent="y",model="m",status="failure",cluster="eu"}`, "_x250 4x50"})
	const bad = `watchbill:objective_bad_events:increase5m{objective="success"}`
	scenario(t, r, series,
		expected{199, bad, 0},
		expected{201, bad, 0},
		expected{202, firing, 0},
		expected{204, bad, 0},
		expected{204, `sum_over_time(watchbill:objective_cost_usd:increase5m[3h]) < bool 10`, 1},
		expected{230, `sum_over_time(` + bad + `[1h])`, 0},
		expected{249, firing, 0},
		expected{252, bad, 4},
		expected{260, bad, 0},
	)
}

// replicaRequests returns the series of a replica with count requests per minute, of which fast are fast.
func replicaRequests(instance string, count, fast string) [][2]string {
	labels := `job="api",instance="` + instance + `",method="GET",route="/a"`
	series := [][2]string{
		api(instance, 400),
		{`watchbill_http_request_duration_seconds_count{` + labels + `}`, count},
	}
	if fast != "" {
		series = append(series, [2]string{`watchbill_http_request_duration_seconds_bucket{` + labels + `,le="0.2"}`, fast})
	}
	return series
}

// TestHalfDoneRelabelings drops the threshold's bucket of one replica: requests without it count as neither slow nor fast.
func TestHalfDoneRelabelings(t *testing.T) {
	t.Parallel()
	const ratio, all = "watchbill:objective_bad_events:ratio5m", "watchbill:objective_events:increase5m"
	for _, test := range []struct {
		name   string
		series [][2]string
		want   []expected
	}{
		{
			"one replica never had it",
			append(replicaRequests("a", "0+100x200", "0+100x200"), replicaRequests("b", "0+100x200", "")...),
			[]expected{{100, ratio, 0}, {100, all, 500}, {200, firing, 0}},
		},
		{
			"one replica loses it, and has it again",
			append(replicaRequests("a", "0+100x300", "0+100x300"), replicaRequests("b", "0+100x300", "0+100x99 stale _x49 15000+100x150")...),
			[]expected{
				{99, all, 1000},
				{101, ratio, 0},
				{103, ratio, 0},
				{105, ratio, 0},
				{120, all, 500},
				{151, ratio, 0},
				{153, ratio, 0},
				{155, ratio, 0},
				{160, all, 1000},
				{200, firing, 0},
				{300, "max_over_time(watchbill:objective_bad_events:increase5m[5h])", 0},
			},
		},
		{
			"the only replica loses it while half is slow, and the rest is counted correctly",
			append(replicaRequests("a", "0+100x300", "0+50x300"), replicaRequests("b", "0+100x300", "0+50x99 stale")...),
			[]expected{{99, ratio, 0.5}, {103, ratio, 0.5}, {120, ratio, 0.5}},
		},
		{
			"a label that one of two scrapes adds",
			append(replicaRequests("a", "0+100x99 stale", "0+100x99 stale"),
				[2]string{`watchbill_http_request_duration_seconds_count{job="api",instance="a",method="GET",route="/a",team="x"}`, "_x100 10000+100x200"},
				[2]string{`watchbill_http_request_duration_seconds_bucket{job="api",instance="a",method="GET",route="/a",le="0.2",team="x"}`, "_x100 10000+100x200"}),
			[]expected{{101, ratio, 0}, {103, ratio, 0}, {105, ratio, 0}, {130, firing, 0}},
		},
		{
			"an upgrade of Prometheus, which spells le otherwise",
			[][2]string{
				api("a", 300),
				{`watchbill_http_request_duration_seconds_count{job="api",instance="a",method="GET",route="/a"}`, "0+100x200"},
				{`watchbill_http_request_duration_seconds_bucket{job="api",instance="a",method="GET",route="/a",le="1"}`, "0+100x99"},
				{`watchbill_http_request_duration_seconds_bucket{job="api",instance="a",method="GET",route="/a",le="1.0"}`, "_x100 10000+100x100"},
			},
			[]expected{{99, all, 500}, {104, "max_over_time(watchbill:objective_bad_events:increase5m[2h])", 0}, {110, all, 500}, {130, firing, 0}},
		},
		{
			"one replica has native histograms only, and is slow",
			append(replicaRequests("a", "0+100x200", "0+100x200"), api("b", 200), [2]string{
				`watchbill_http_request_duration_seconds{job="api",instance="b",method="GET",route="/a"}`,
				"{{schema:0 count:0 sum:0 offset:3 buckets:[0]}}+{{schema:0 count:100 sum:800 offset:3 buckets:[100]}}x200",
			}),
			[]expected{{100, ratio, 0.5}, {100, all, 1000}, {200, firing, 4}},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			threshold := "200ms"
			if strings.Contains(test.name, "spells") { // only whole seconds have two spellings
				threshold = "1s"
			}
			scenario(t, daily(latency("a", "", "/a", "0.99", threshold)), test.series, test.want...)
		})
	}
}
