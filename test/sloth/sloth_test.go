package sloth

import (
	"bytes"
	"flag"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/model"

	"github.com/watchbill/watchbill/internal/objective"
	"github.com/watchbill/watchbill/internal/report/rules"
	"github.com/watchbill/watchbill/internal/testkit/tree"
)

var update = flag.Bool("update", false, "rewrite the table in docs/objectives.md")

// spec is the objective for sloth: 1 % of the responses may be 5xx.
const spec = `version: prometheus/v1
service: watchbill
slos:
  - name: errors
    objective: 99
    sli:
      events:
        error_query: sum(rate(watchbill_http_requests_total{job="watchbill",code=~"5.."}[{{.window}}]))
        total_query: sum(rate(watchbill_http_requests_total{job="watchbill"}[{{.window}}]))
    alerting: {name: ErrorsBySloth}
`

// smoothing is how many minutes later than sloth's Watchbill's alerts may fire, in addition to their "for". Shares are
// sums of increases over 5 minutes, which show a step half of that later, and the rules are evaluated every minute.
const smoothing = 3

func TestSideBySide(t *testing.T) {
	t.Parallel()
	ours, err := rulesOfOurs()
	if err != nil {
		t.Fatal(err)
	}
	theirs := rulesOfSloth(t)
	wantSameWindows(t, ours, theirs)
	figures := measure(t, ours, theirs)
	late := pending(t, ours)
	for _, c := range cases {
		for _, severity := range []string{"page", "warning"} {
			name := c.name + ": first " + severity
			own, other := figures[key{c.name, "ours", severity}], figures[key{c.name, "sloth", severity}]
			switch {
			case c.quiet && own != never:
				t.Errorf("%s: after %s min, want none", name, own)
			case c.quiet:
			case (own == never) != (other == never):
				t.Errorf("%s: %s, sloth %s", name, own, other)
			case own != never && minutes(t, own)-minutes(t, other) > late[severity]+smoothing:
				t.Errorf("%s: after %s min, sloth after %s; want at most %d + %d later", name, own, other, late[severity], smoothing)
			}
		}
		left, err := strconv.ParseFloat(figures[key{c.name, "ours", "budget"}], 64)
		// Prometheus does not extrapolate the increase of a counter that was 0: half of the first minute is missing.
		if tolerance := 0.01 + c.burst()/2/0.01; err != nil || !(math.Abs(left-c.budgetLeft()) <= tolerance) {
			t.Errorf("%s: %v of the budget is left (%v), want %.2f within %.2f", c.name, left, err, c.budgetLeft(), tolerance)
		}
	}
	compareDocs(t, table(t, figures))
}

// rulesOfOurs returns Watchbill's rules for an objective of 1 %, with the default windows.
func rulesOfOurs() (rules.File, error) {
	file, _, err := rules.Build(rules.Report{
		Namespace: "fleet", Name: "daily",
		Objectives: objective.Resolve([]objective.Objective{{Name: "errors", ErrorRate: &objective.ErrorRate{Max: "0.01"}}}),
	}, rules.Options{Selector: map[string]string{"job": "watchbill"}})
	return file, err
}

func rulesOfSloth(t *testing.T) []byte {
	t.Helper()
	file := filepath.Join(t.TempDir(), "slo.yaml")
	if err := os.WriteFile(file, []byte(spec), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), tool(t, "sloth"), "generate", "--no-log", "--input", file)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	text, err := cmd.Output()
	if err != nil {
		t.Fatalf("sloth generate: %v\n%s", err, &stderr)
	}
	return text
}

func tool(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), filepath.Join(tree.Root(), "hack", "tool"), "--path", name).Output()
	if err != nil {
		t.Fatalf("hack/tool %s: %v", name, err)
	}
	return strings.TrimSpace(string(out))
}

var (
	slothWindow = regexp.MustCompile(`ratio_rate(\w+)\{[^}]*\} > \((\S+) \* 0\.01\)`)
	ourWindow   = regexp.MustCompile(`:ratio(\w+)(?:\{[^}]*\})? > (\S+) \* 0\.01`)
)

// wantSameWindows fails the test unless both have the same windows with the same factors.
func wantSameWindows(t *testing.T, ours rules.File, theirs []byte) {
	t.Helper()
	windows := func(of *regexp.Regexp, text string) []string {
		var all []string
		for _, match := range of.FindAllStringSubmatch(text, -1) {
			all = append(all, match[1]+" "+match[2])
		}
		slices.Sort(all)
		return all
	}
	var text strings.Builder
	for _, rule := range alerts(ours) {
		text.WriteString(rule.Expr + "\n")
	}
	own, other := windows(ourWindow, text.String()), windows(slothWindow, string(theirs))
	if diff := cmp.Diff(other, own); diff != "" || len(own) != 8 {
		t.Fatalf("the windows are not the same: want eight, -sloth +ours:\n%s%s", diff, &text)
	}
}

// alerts returns the rules that alert on burn rates.
func alerts(file rules.File) []rules.Rule {
	var all []rules.Rule
	for _, group := range file.Groups {
		for _, rule := range group.Rules {
			if rule.Alert != "" && rule.Labels["window"] != "" {
				all = append(all, rule)
			}
		}
	}
	return all
}

// pending returns the maximum number of minutes for which Watchbill's alerts are pending before they fire, by severity.
func pending(t *testing.T, file rules.File) map[string]int {
	t.Helper()
	names := map[string]string{"critical": "page", "warning": "warning"}
	longest := map[string]int{}
	for _, rule := range alerts(file) {
		wait, err := model.ParseDuration(rule.For)
		if err != nil {
			t.Fatal(err)
		}
		name := names[rule.Labels["severity"]]
		longest[name] = max(longest[name], int(time.Duration(wait).Minutes()))
	}
	return longest
}

func minutes(t *testing.T, figure string) int {
	t.Helper()
	n, err := strconv.Atoi(figure)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

var versionOfSloth = regexp.MustCompile(`(?m)^\s*github\.com/slok/sloth v(\S+)`)

// table returns the table for docs/objectives.md.
func table(t *testing.T, figures map[key]string) string {
	t.Helper()
	module, err := os.ReadFile(filepath.Join(tree.Root(), "hack/tools/sloth/go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	version := versionOfSloth.FindSubmatch(module)
	if version == nil {
		t.Fatal("hack/tools/sloth/go.mod names no version of sloth")
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s | first page | sloth %s | first warning | sloth | budget left | sloth | exactly |\n", head, version[1])
	b.WriteString("|---|---|---|---|---|---|---|---|\n")
	for _, c := range cases {
		fmt.Fprintf(&b, "| %s |", c.name)
		for _, figure := range figureNames {
			for _, who := range []string{"ours", "sloth"} {
				fmt.Fprintf(&b, " %s |", figures[key{c.name, who, figure}])
			}
		}
		fmt.Fprintf(&b, " %s |\n", strconv.FormatFloat(math.Floor(c.budgetLeft()*100+0.5)/100, 'f', -1, 64))
	}
	return b.String()
}

const head = "| what happens"

func compareDocs(t *testing.T, want string) {
	t.Helper()
	path := filepath.Join(tree.Root(), "docs/objectives.md")
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	start := bytes.Index(page, []byte("\n"+head)) + 1
	if start == 0 {
		t.Fatalf("docs/objectives.md has no table that begins with %q", head)
	}
	end := start
	for line := range bytes.Lines(page[start:]) {
		if line[0] != '|' {
			break
		}
		end += len(line)
	}
	if *update && !t.Failed() {
		page = slices.Concat(page[:start], []byte(want), page[end:])
		if err := os.WriteFile(path, page, 0o644); err != nil { //nolint:gosec // a page of the repository
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, string(page[start:end])); diff != "" {
		t.Errorf("docs/objectives.md differs; -update writes it (-measured +docs):\n%s", diff)
	}
}
