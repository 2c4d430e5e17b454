package report_test

import (
	"bytes"
	"encoding/csv"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/objective"
	"github.com/watchbill/watchbill/internal/report"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

func TestGolden(t *testing.T) {
	withLogs := computed(t, request(), goodHour(lastHour), previous(badHour))
	withLogs.Sections.Logs = analysed(t, lastHour, sampleLog)
	short := request()
	short.Sections = []report.Section{report.SectionSummary}
	docs := map[string]report.Document{
		"good-after-bad": withLogs,
		"bad-after-idle": computed(t, request(), badHour(lastHour), previous(idleHour)),
		"idle":           computed(t, request(), idleHour(lastHour), nil),
		"money":          computed(t, moneyReport(t), someDays(), nil),
		"summary":        computed(t, short, goodHour(lastHour), nil),
	}
	renderings := []struct {
		suffix string
		format report.Format
		opts   report.RenderOptions
	}{
		{".txt", report.Text, report.RenderOptions{}},
		{".ansi", report.Text, report.RenderOptions{Colour: true}},
		{".md", report.Markdown, report.RenderOptions{}},
		{".csv", report.CSV, report.RenderOptions{}},
		{".json", report.JSON, report.RenderOptions{}},
		{".html", report.HTML, report.RenderOptions{}},
	}
	for name, doc := range docs {
		for _, r := range renderings {
			t.Run(name+r.suffix, func(t *testing.T) {
				got := rendered(t, doc, r.format, r.opts)
				golden := filepath.Join("testdata", name+r.suffix)
				if *update {
					if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(golden)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(string(want), got); diff != "" {
					t.Errorf("%s (-want +got), -update rewrites it:\n%s", golden, diff)
				}
			})
		}
	}
}

func rendered(t *testing.T, doc report.Document, format report.Format, opts report.RenderOptions) string {
	t.Helper()
	var b bytes.Buffer
	if err := report.Render(&b, doc, format, opts); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestColourAddsOnlyEscapes(t *testing.T) {
	doc := computed(t, request(), badHour(lastHour), previous(goodHour))
	coloured := rendered(t, doc, report.Text, report.RenderOptions{Colour: true})
	for _, sequence := range []string{"\x1b[0m", "\x1b[1m", "\x1b[31m", "\x1b[32m", "\x1b[33m"} {
		coloured = strings.ReplaceAll(coloured, sequence, "")
	}
	if diff := cmp.Diff(rendered(t, doc, report.Text, report.RenderOptions{}), coloured); diff != "" {
		t.Errorf("(-plain +coloured):\n%s", diff)
	}
}

// hostile returns a report in which every string is the given one.
func hostile(t *testing.T, evil string) report.Document {
	f := goodHour(lastHour)
	f.Endpoints[0].Method, f.Endpoints[0].Route = evil, evil
	f.Pool[0].Replica = evil
	f.Queries[0].Name = evil
	f.Indexes[0].Name, f.Indexes[0].Columns, f.Indexes[0].Shape, f.Indexes[0].Plan = evil, evil, evil, evil
	f.Deployments[evil] = 1
	f.Executions[0].Agent, f.Executions[3].Model = evil, evil
	f.Users.Dearest[0].Key, f.Days[0].Key = evil, evil
	doc := computed(t, request(), f, previous(badHour))
	doc.ID, doc.Name, doc.Verdict = evil, evil, report.Verdict(evil)
	doc.Objectives[0].Name, doc.Objectives[0].Description, doc.Objectives[0].Detail = evil, evil, evil
	doc.Objectives[0].Unit, doc.Objectives[0].Comparison = objective.Unit(evil), objective.Comparison(evil)
	return doc
}

func TestHostileStrings(t *testing.T) {
	for name, evil := range map[string]string{
		"escape sequence": "\x1b]0;pwned\a\x1b[2J",
		"C1 control":      "\u009b2J",
		"line break":      "a\r\nb\u2028c",
		"turned around":   "\u202egnp.exe",
		"table":           "| a | b |",
		"HTML":            "<img src=x onerror=alert(1)>&lt;",
		"code":            "`$(rm)` ``` ~~~",
		"formula":         `=HYPERLINK("http://evil","x")`,
		"formula, hidden": "\t =1+1",
		"formula, wide":   "＝1+1",
		"command":         "-2+3+cmd|' /C calc'!A0",
		"mention":         "@SUM(1)",
		"not UTF-8":       "\xff\xfe",
		"endless":         strings.Repeat("x", 1<<16),
	} {
		t.Run(name, func(t *testing.T) {
			doc := hostile(t, evil)
			text := rendered(t, doc, report.Text, report.RenderOptions{})
			if i := strings.IndexFunc(text, func(r rune) bool {
				return r != '\n' && (r < ' ' || r >= 0x7f && r < 0xa0 || r == '\u202e' || r == '\u2028')
			}); i >= 0 {
				t.Errorf("text: byte %q at %d", text[i], i)
			}
			if len(text) > 128<<10 {
				t.Errorf("text: %d bytes", len(text))
			}
			checkMarkdown(t, rendered(t, doc, report.Markdown, report.RenderOptions{}))
			checkCSV(t, rendered(t, doc, report.CSV, report.RenderOptions{}))
			html := rendered(t, doc, report.HTML, report.RenderOptions{})
			checkHTML(t, html)
			if len(html) > 192<<10 {
				t.Errorf("HTML: %d bytes", len(html))
			}
			rendered(t, doc, report.JSON, report.RenderOptions{})
		})
	}
}

// checkMarkdown checks that tables are rectangular and contain neither HTML nor code.
func checkMarkdown(t *testing.T, markdown string) {
	t.Helper()
	escaped := strings.NewReplacer(`\\`, "", `\|`, "", `\<`, "", "\\`", "", `\&`, "", `\~`, "")
	columns := 0
	for line := range strings.Lines(markdown) {
		bare := escaped.Replace(strings.TrimSuffix(line, "\n"))
		if strings.ContainsAny(bare, "<`&~\r") {
			t.Errorf("markdown: %q is not escaped", line)
		}
		if !strings.HasPrefix(bare, "|") {
			columns = 0
			continue
		}
		got := strings.Count(bare, "|")
		if columns == 0 {
			columns = got
		}
		if got != columns {
			t.Errorf("markdown: %q has %d columns, its table %d", line, got-1, columns-1)
		}
	}
}

// checkCSV checks that every line has five fields, and that fields which are not numbers are not formulas.
func checkCSV(t *testing.T, s string) {
	t.Helper()
	lines, err := csv.NewReader(strings.NewReader(s)).ReadAll()
	if err != nil {
		t.Fatalf("CSV: %v", err)
	}
	for _, line := range lines {
		for i, field := range line {
			if isNumber := i == 3; !isNumber && strings.IndexAny(strings.TrimSpace(field), "=+-@＝＋－＠") == 0 {
				t.Errorf("CSV: %q of %q begins like a formula", field, line)
			}
			if strings.HasPrefix(field, "=") || strings.ContainsAny(field, "\t\r\n\x1b") {
				t.Errorf("CSV: %q of %q is not inert", field, line)
			}
		}
	}
}

func TestCSVHasEveryFigureOnce(t *testing.T) {
	doc := computed(t, request(), goodHour(lastHour), previous(badHour))
	doc.Sections.Logs = analysed(t, lastHour, sampleLog)
	lines, err := csv.NewReader(strings.NewReader(rendered(t, doc, report.CSV, report.RenderOptions{}))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, line := range lines {
		figure := strings.Join(line[:3], " / ")
		if seen[figure] {
			t.Errorf("%s is duplicated", figure)
		}
		seen[figure] = true
	}
	sections := []string{"report", "objectives", "logs"}
	for _, s := range report.AllSections() {
		sections = append(sections, string(s))
	}
	for _, section := range sections {
		if !slices.ContainsFunc(lines, func(line []string) bool { return line[0] == section }) {
			t.Errorf("there is no line of section %s", section)
		}
	}
}

func TestParseFormat(t *testing.T) {
	for _, want := range report.Formats() {
		if got, err := report.ParseFormat(string(want)); got != want || err != nil {
			t.Errorf("ParseFormat(%s) = %s, %v", want, got, err)
		}
	}
	for _, name := range []string{"pdf", "HTML", "", "Json"} {
		_, err := report.ParseFormat(name)
		if err == nil || !strings.Contains(err.Error(), "text, json, markdown, csv, html") {
			t.Errorf("ParseFormat(%s): got error %v, want one that names the formats", name, err)
		}
	}
	if err := report.Render(&bytes.Buffer{}, report.Document{}, "pdf", report.RenderOptions{}); err == nil {
		t.Error("Render as pdf: no error")
	}
}

func TestRenderAnEmptyDocument(t *testing.T) {
	for _, format := range report.Formats() {
		if got := rendered(t, report.Document{}, format, report.RenderOptions{}); got == "" {
			t.Errorf("%s: nothing", format)
		}
	}
}

var errDisk = errors.New("disk is full")

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errDisk }

func TestRenderReportsWriteErrors(t *testing.T) {
	if err := report.Render(fullDisk{}, report.Document{}, report.Text, report.RenderOptions{}); !errors.Is(err, errDisk) {
		t.Errorf("got error %v, want %v", err, errDisk)
	}
}

// TestDefaultNameIsNotInHeadings checks that a report without a name is not called "Report report".
func TestDefaultNameIsNotInHeadings(t *testing.T) {
	t.Parallel()
	for format, want := range map[report.Format]string{report.Text: "Report\n", report.Markdown: "# Report\n", report.HTML: "<h1>Report</h1>"} {
		got := rendered(t, report.Document{Name: report.DefaultName}, format, report.RenderOptions{})
		if !strings.Contains(got, want) || strings.Contains(strings.ToLower(got), "report report") {
			t.Errorf("%s: want the heading %q, got %.200s", format, want, got)
		}
	}
}
