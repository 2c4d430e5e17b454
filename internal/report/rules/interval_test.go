package rules_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/watchbill/watchbill/internal/report/rules"
)

// TestOutageAtEveryInterval simulates a full outage at 6 requests per minute. The first page comes after the minutes
// documented in docs/objectives.md, within 15 at the default interval, and nothing fires before the outage. In vmalert a
// rule sees the records of its group one evaluation later.
func TestOutageAtEveryInterval(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		scraped, evaluated  time.Duration
		prometheus, vmalert float64 // minutes from the first failure to the first page
	}{
		{30 * time.Second, 30 * time.Second, 13, 14},
		{time.Minute, time.Minute, 13, 15},
		{time.Minute, 90 * time.Second, 13.5, 18},
		{2 * time.Minute, 2 * time.Minute, 14, 18},
	} {
		t.Run(fmt.Sprintf("scraped every %s, evaluated every %s", tt.scraped, tt.evaluated), func(t *testing.T) {
			t.Parallel()
			r := daily(errorRate("0.01", ""))
			r.Interval = tt.evaluated
			const pages = `ALERTS{alertname="WatchbillErrorRateHigh",alertstate="firing",severity="critical"}`
			promtool, err := promtool()
			if err != nil {
				t.Fatal(err)
			}
			dir := written(t, r, rules.Prometheus)
			writeOutage(t, dir, "promql", tt.scraped, tt.evaluated,
				expected{300, `count(` + pages + `) or vector(0)`, 0},
				expected{330, `min(min_over_time(timestamp(` + pages + `)[30m:10s])) / 60 - 300`, tt.prometheus})
			runIn(t, dir, promtool, "test", "rules", "outage.yaml")

			dir = written(t, r, rules.VictoriaMetrics)
			writeOutage(t, dir, "metricsql", tt.scraped, tt.evaluated,
				expected{300, `count(` + pages + `) or vector(0)`, 0},
				expected{330, `min(min_over_time(timestamp(` + pages + `)[30m:10s])) / 60 - 15778080 - 300`, tt.vmalert}) // its tests begin in the year 2000
			runIn(t, dir, pinned(t, "vmalert-tool"), "unittest", "--files=outage.yaml")
		})
	}
}

// writeOutage writes a test in which two replicas answer 6 requests per minute successfully for 300 minutes, then none
// for 60.
func writeOutage(t *testing.T, dir, language string, scraped, evaluated time.Duration, want ...expected) {
	t.Helper()
	each := 3 * scraped.Minutes()
	well, badly := int(300*time.Minute/scraped), int(60*time.Minute/scraped)
	var text strings.Builder
	fmt.Fprintf(&text, "rule_files: [rules.yaml]\nevaluation_interval: %s\ntests:\n  - interval: %s\n    input_series:\n", evaluated, scraped)
	for _, replica := range []string{"a", "b"} {
		labels := `{job="api",instance="` + replica + `",method="GET",route="/api/agents",code=`
		for _, s := range [][2]string{
			{`watchbill_build_info{job="api",instance="` + replica + `"}`, fmt.Sprintf("1x%d", well+badly)},
			{`watchbill_http_requests_total` + labels + `"200"}`, fmt.Sprintf("0+%vx%d %vx%d", each, well, each*float64(well), badly-1)},
			{`watchbill_http_requests_total` + labels + `"503"}`, fmt.Sprintf("0x%d %v+%vx%d", well, each, each, badly-1)},
		} {
			fmt.Fprintf(&text, "      - series: '%s'\n        values: '%s'\n", s[0], s[1])
		}
	}
	fmt.Fprintf(&text, "    %s_expr_test:\n", language)
	for _, w := range want {
		fmt.Fprintf(&text, "      - expr: 'sum(%s)'\n        eval_time: %dm\n        exp_samples: [{labels: \"{}\", value: %v}]\n", w.expr, w.minute, w.value)
	}
	if err := os.WriteFile(filepath.Join(dir, "outage.yaml"), []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}
