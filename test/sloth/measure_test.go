package sloth

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/watchbill/watchbill/internal/report/rules"
)

// traffic is a case: the numbers of good and bad responses in the minute after m, for a length in minutes.
type traffic struct {
	name      string
	good, bad func(m int) int
	onset     int // the minute in which the event of the case begins
	length    int
	failed    int  // failures before, the initial value of their counter
	quiet     bool // there should be no alert
}

const hour = 60

// After 10 hours of 6 requests, one failure is more than 1 % of all, and a warning is right; after a day it is less.
var cases = []traffic{
	failing("all of 600 requests a minute fail for 30 min", 600, 30, 16*hour),
	failing("20 % of 600 a minute fail for 1 h", 120, hour, 13*hour),
	failing("2 % of 600 a minute fail for 20 h", 12, 20*hour, 30*hour),
	{
		"one request fails, of 6 an hour", func(m int) int { return one(m%10 == 0 && m != 24*hour) }, func(m int) int { return one(m == 24*hour) },
		24 * hour, 27 * hour, 1, true,
	},
	{
		"there are no requests for 2 h", func(m int) int { return 600 * one(m < 10*hour || m >= 12*hour) }, func(int) int { return 0 },
		10 * hour, 13 * hour, 0, true,
	},
}

// failing returns a case with 600 requests a minute, of which bad fail for lasts minutes after 10 good hours.
func failing(name string, bad, lasts, length int) traffic {
	const onset = 10 * hour
	failed := func(m int) int { return bad * one(m >= onset && m < onset+lasts) }
	return traffic{name, func(m int) int { return 600 - failed(m) }, failed, onset, length, 0, false}
}

func one(is bool) int {
	if is {
		return 1
	}
	return 0
}

// burst returns the failures of the first minute as a share of the case's requests.
func (c traffic) burst() float64 {
	return float64(c.bad(c.onset)) / c.all()
}

// budgetLeft returns the share of the error budget that is left at the end.
func (c traffic) budgetLeft() float64 {
	return 1 - c.sum(c.bad)/c.all()/0.01
}

func (c traffic) all() float64 { return c.sum(c.good) + c.sum(c.bad) }

func (c traffic) sum(of func(m int) int) float64 {
	total := 0
	for m := range c.length {
		total += of(m)
	}
	return float64(total)
}

// series returns the series that Prometheus scrapes, once a minute.
func (c traffic) series() string {
	var b strings.Builder
	for _, counter := range []struct {
		code    string
		total   int
		answers func(m int) int
	}{{"200", 0, c.good}, {"503", c.failed, c.bad}} {
		total := counter.total
		fmt.Fprintf(&b, `      - series: watchbill_http_requests_total{job="watchbill",instance="a",method="GET",route="/api/agents",code="%s"}`+"\n        values: '%d", counter.code, total)
		for m := range c.length {
			total += counter.answers(m)
			b.WriteString(" " + strconv.Itoa(total))
		}
		b.WriteString("'\n")
	}
	return b.String() + fmt.Sprintf("      - series: watchbill_build_info{job=\"watchbill\",instance=\"a\"}\n        values: 1x%d\n", c.length)
}

// key identifies a figure: by its case, ours or sloth, and one of figureNames.
type key struct{ of, who, figure string }

// figureNames are the figures of the table, in order.
var figureNames = []string{"page", "warning", "budget"}

// never is the figure of an alert that does not fire.
const never = "never"

var figureExprs = map[key]string{
	{"", "ours", "page"}:     first(`objective="errors",severity="critical"`),
	{"", "ours", "warning"}:  first(`objective="errors",severity="warning"`),
	{"", "ours", "budget"}:   `round(watchbill:objective_error_budget_remaining:ratio30d, 0.01)`,
	{"", "sloth", "page"}:    first(`sloth_slo="errors",sloth_severity="page"`),
	{"", "sloth", "warning"}: first(`sloth_slo="errors",sloth_severity="ticket"`),
	{"", "sloth", "budget"}:  `round(slo:period_error_budget_remaining:ratio, 0.01)`,
}

// first returns an expression for the minute in which an alert with these labels first fires, or -1.
func first(matchers string) string {
	return fmt.Sprintf(`min(min_over_time(timestamp(ALERTS{alertstate="firing",%s})[2d:1m])) / 60 or vector(-1)`, matchers)
}

// sinceOnset returns the minutes from the onset of a case to minute, or never.
func sinceOnset(t *testing.T, c traffic, minute string) string {
	t.Helper()
	if minute == "-1" {
		return never
	}
	return strconv.Itoa(minutes(t, minute) - c.onset)
}

// measured matches an unexpected sample in promtool's output. The value is in a label, since promtool rounds those of
// samples.
var measured = regexp.MustCompile(`figure=\\?"([^"\\]+)\\?", of=\\?"([^"\\]+)\\?", value=\\?"([^"\\]+)\\?", who=\\?"([^"\\]+)\\?"`)

var slothGroup = regexp.MustCompile(`(?m)^- name: (\S+)`)

// measure evaluates both files on each case's series with promtool. promtool shows only unexpected samples, so the test
// file expects none for every expression.
func measure(t *testing.T, ours rules.File, theirs []byte) map[key]string {
	t.Helper()
	dir := t.TempDir()
	own, err := ours.YAML()
	if err != nil {
		t.Fatal(err)
	}
	var tests strings.Builder
	tests.WriteString("rule_files: [ours.yaml, sloth.yaml]\nevaluation_interval: 1m\ngroup_eval_order:\n")
	// With this order, alerts use the values recorded in the same minute. promtool's default order is arbitrary.
	for _, group := range ours.Groups {
		fmt.Fprintf(&tests, "  - %s\n", group.Name)
	}
	for _, match := range slothGroup.FindAllSubmatch(theirs, -1) {
		fmt.Fprintf(&tests, "  - %s\n", match[1])
	}
	tests.WriteString("tests:\n")
	for _, c := range cases {
		fmt.Fprintf(&tests, "  - interval: 1m\n    input_series:\n%s    promql_expr_test:\n", c.series())
		for k, expr := range figureExprs {
			labelled := fmt.Sprintf(`count_values("value", %s)`, expr)
			for label, value := range map[string]string{"of": c.name, "who": k.who, "figure": k.figure} {
				labelled = fmt.Sprintf(`label_replace(%s, "%s", "%s", "", "")`, labelled, label, value)
			}
			fmt.Fprintf(&tests, "      - expr: '%s'\n        eval_time: %dm\n        exp_samples: []\n", labelled, c.length)
		}
	}
	for name, text := range map[string][]byte{"ours.yaml": own, "sloth.yaml": theirs, "tests.yaml": []byte(tests.String())} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), tool(t, "promtool"), "test", "rules", "tests.yaml")
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err == nil {
		t.Fatal("promtool found nothing")
	}
	figures := map[key]string{}
	for _, match := range measured.FindAllStringSubmatch(string(out), -1) {
		figure, of, value, who := match[1], match[2], match[3], match[4]
		if figure != "budget" {
			i := slices.IndexFunc(cases, func(c traffic) bool { return c.name == of })
			value = sinceOnset(t, cases[i], value)
		}
		figures[key{of, who, figure}] = value
	}
	if len(figures) != len(cases)*len(figureExprs) {
		t.Fatalf("%d figures of %d: %v\n%.4000s", len(figures), len(cases)*len(figureExprs), figures, out)
	}
	return figures
}
