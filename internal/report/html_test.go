package report_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/report"
)

// pageElements are the allowed elements of a page with their attributes. None of them loads, runs or sends anything.
var pageElements = map[string]string{
	"html": "lang", "head": "", "meta": "charset http-equiv name content", "title": "id", "style": "", "body": "",
	"header": "", "main": "", "nav": "aria-label", "section": "id class", "div": "class role tabindex aria-labelledby",
	"h1": "", "h2": "", "p": "class", "span": "class aria-hidden", "strong": "", "bdi": "", "a": "href", "ul": "", "li": "",
	"dl": "", "dt": "", "dd": "", "table": "role", "caption": "id", "thead": "role", "tbody": "role", "tr": "role class",
	"th": "role scope class", "td": "role data-head class",
	"svg": "class role width height viewBox aria-hidden aria-labelledby", "circle": "class cx cy r", "path": "class d", "rect": "width height",
	"desc": "id", "text": "class x y", "figure": "", "figcaption": "", "details": "", "summary": "",
}

// checkedPage is what checkHTML found in a page.
type checkedPage struct {
	title, heading, verdict, policy, style string
	tables                                 [][][]string // table, row, cell: text for screen readers
	rowClasses                             []string     // of the first table's body
}

// checkHTML parses a page as XML, which is strict: a single tag from a string is an error. It checks that there are
// only allowed elements and attributes, that links stay in the page, and that tables are rectangular.
func checkHTML(t *testing.T, html string) checkedPage {
	t.Helper()
	const doctype = "<!doctype html>\n"
	if !strings.HasPrefix(html, doctype) {
		t.Fatalf("HTML: begins with %.40q", html)
	}
	if i := strings.IndexFunc(html, func(r rune) bool { return r != '\n' && r != '\u00a0' && !unicode.IsPrint(r) }); i >= 0 {
		t.Errorf("HTML: character that cannot be printed: %.20q", html[i:])
	}
	var page checkedPage
	var open []string // elements
	hidden := 0       // number of open elements hidden from screen readers
	ids, links := map[string]bool{}, map[string]bool{}
	inside := func(element string) bool { return slices.Contains(open, element) }
	decoder := xml.NewDecoder(strings.NewReader(strings.TrimPrefix(html, doctype)))
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("HTML: %v", err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			element := token.Name.Local
			open = append(open, element)
			attributes := attributesOf(t, token)
			if hidden > 0 || attributes["aria-hidden"] == "true" {
				hidden++
			}
			if id := attributes["id"]; id != "" && ids[id] {
				t.Errorf("HTML: id %s is duplicated", id)
			} else {
				ids[id] = true
			}
			switch last := len(page.tables) - 1; element {
			case "a":
				links[attributes["href"]] = true
			case "meta":
				if attributes["http-equiv"] == "Content-Security-Policy" {
					page.policy = attributes["content"]
				}
			case "table":
				page.tables = append(page.tables, nil)
			case "tr":
				page.tables[last] = append(page.tables[last], nil)
				if last == 0 && inside("tbody") {
					page.rowClasses = append(page.rowClasses, attributes["class"])
				}
			case "td", "th":
				row := &page.tables[last][len(page.tables[last])-1]
				wantScope := "col"
				if inside("tbody") {
					wantScope = "row"
				}
				if isHead := element == "th"; isHead && attributes["scope"] != wantScope || isHead != (inside("thead") || len(*row) == 0) {
					t.Errorf("HTML: cell %d of %q is a %s of scope %q", len(*row), *row, element, attributes["scope"])
				}
				*row = append(*row, "")
			}
		case xml.EndElement:
			open = open[:len(open)-1]
			hidden = max(hidden-1, 0)
		case xml.CharData:
			text := string(token)
			switch last := len(page.tables) - 1; {
			case hidden > 0:
			case inside("svg"):
			case inside("title"):
				page.title += text
			case inside("h1"):
				page.heading += text
			case inside("style"):
				page.style += text
			case inside("header") && inside("span"):
				page.verdict += text
			case inside("td") || inside("th"):
				row := page.tables[last][len(page.tables[last])-1]
				row[len(row)-1] += text
			}
		default:
			t.Errorf("HTML: %T", token)
		}
	}
	for link := range links {
		if !strings.HasPrefix(link, "#") || !ids[link[1:]] {
			t.Errorf("HTML: link to %q", link)
		}
	}
	for _, table := range page.tables {
		for _, row := range table {
			if len(row) != len(table[0]) {
				t.Errorf("HTML: row %q has %d cells, its head %d", row, len(row), len(table[0]))
			}
		}
	}
	return page
}

func attributesOf(t *testing.T, element xml.StartElement) map[string]string {
	t.Helper()
	known, ok := pageElements[element.Name.Local]
	if !ok {
		t.Errorf("HTML: element %s", element.Name.Local)
	}
	attributes := map[string]string{}
	for _, a := range element.Attr {
		if !slices.Contains(strings.Fields(known), a.Name.Local) {
			t.Errorf("HTML: attribute %s=%q of element %s", a.Name.Local, a.Value, element.Name.Local)
		}
		attributes[a.Name.Local] = a.Value
	}
	return attributes
}

// cellsOfMarkdown returns the cells of all tables.
func cellsOfMarkdown(markdown string) [][][]string {
	bare := strings.NewReplacer(`\_`, "_", `\<`, "<", `\>`, ">", `\|`, "|", `\*`, "*", `\[`, "[", `\]`, "]")
	var tables [][][]string
	before := ""
	for line := range strings.Lines(markdown) {
		if strings.HasPrefix(line, "|") && !strings.HasPrefix(line, "| ---") {
			if !strings.HasPrefix(before, "|") {
				tables = append(tables, nil)
			}
			cells := strings.Split(strings.TrimSuffix(strings.TrimPrefix(line, "| "), " |\n"), " | ")
			for i := range cells {
				cells[i] = bare.Replace(cells[i])
			}
			last := len(tables) - 1
			tables[last] = append(tables[last], cells)
		}
		before = line
	}
	return tables
}

func TestHTMLAgreesWithOtherFormats(t *testing.T) {
	withLogs := computed(t, request(), goodHour(lastHour), previous(badHour))
	withLogs.Sections.Logs = analysed(t, lastHour, sampleLog)
	for name, doc := range map[string]report.Document{
		"good": withLogs,
		"bad":  computed(t, request(), badHour(lastHour), previous(idleHour)),
		"idle": computed(t, request(), idleHour(lastHour), nil),
	} {
		t.Run(name, func(t *testing.T) {
			page := checkHTML(t, rendered(t, doc, report.HTML, report.RenderOptions{}))
			want := cellsOfMarkdown(rendered(t, doc, report.Markdown, report.RenderOptions{}))
			if diff := cmp.Diff(want, page.tables); diff != "" {
				t.Errorf("tables (-Markdown +HTML):\n%s", diff)
			}
			got := []string{page.title, page.heading, page.verdict}
			if want := []string{string(doc.Verdict) + ": report hourly, 2026-08-20 11:00 to 2026-08-20 12:00 UTC", "Report hourly", report.Headline(doc)}; !cmp.Equal(got, want) {
				t.Errorf("title, heading and verdict: got %q, want %q", got, want)
			}
		})
	}
}

func TestHTMLMarksMissedObjectives(t *testing.T) {
	t.Parallel()
	f := goodHour(lastHour)
	f.Pool[1].InUseMean = 9
	doc := computed(t, request(), f, nil)
	page := checkHTML(t, rendered(t, doc, report.HTML, report.RenderOptions{}))
	for i, r := range doc.Objectives {
		want := ""
		if !*r.Met {
			want = "bad"
		}
		if got := page.rowClasses[i]; got != want {
			t.Errorf("%s: got a row of class %q, want %q", r.Name, got, want)
		}
	}
	if want := "Fail: 1 of 8 objectives missed"; page.verdict != want {
		t.Errorf("got verdict %q, want %q", page.verdict, want)
	}
}

// A page's policy allows its own style and nothing else.
func TestHTMLPolicyAllowsOnlyItsStyle(t *testing.T) {
	t.Parallel()
	page := checkHTML(t, rendered(t, report.Document{}, report.HTML, report.RenderOptions{}))
	hash := sha256.Sum256([]byte(page.style))
	want := fmt.Sprintf("default-src 'none'; base-uri 'none'; form-action 'none'; style-src 'sha256-%s'",
		base64.StdEncoding.EncodeToString(hash[:]))
	if page.policy != want {
		t.Errorf("got %s, want %s", page.policy, want)
	}
	for _, loads := range []string{"url(", "@import", "http", "//"} {
		if strings.Contains(page.style, loads) {
			t.Errorf("the style has %s", loads)
		}
	}
}

func TestLargestHTMLFitsInMail(t *testing.T) {
	t.Parallel()
	f := withCourse()
	for i := range 60 {
		f.Endpoints = append(f.Endpoints, report.EndpointFacts{
			Method: "GET", Route: fmt.Sprintf("/api/admin/of/some/length/%d", i), ByStatus: map[int]int64{200: 12_345, 404: 1, 503: 2},
			Latency: latencies(50, 1, 20, 300),
		})
		f.Queries = append(f.Queries, report.QueryFacts{Name: fmt.Sprintf("QueryOfSomeLength%d", i), Latency: latencies(50, 1, 2, 30)})
		agent, model := fmt.Sprintf("an-agent-%d", i), fmt.Sprintf("vendor/a-model-%d", i)
		f.Executions = append(f.Executions, executed(agent, model, execution.Success, true, 10, 3, using(1000, 100, 2_250_000)))
		f.Days = append(f.Days, spending(noon.AddDate(0, 0, -i).Format("2006-01-02"), 226, 631_020, 1_845_750_000, 4620))
	}
	for i := range report.MaxNamed {
		f.Users.Dearest = append(f.Users.Dearest, spending(fmt.Sprintf("user-%d@example.com", i), 120, 400_000, 1_200_000_000, 0))
	}
	doc := computed(t, request(), f, previous(badHour))
	doc.Sections.Logs = analysed(t, lastHour, sampleLog)
	for range 60 {
		doc.Sections.Logs.Routes = append(doc.Sections.Logs.Routes, doc.Sections.Logs.Routes[0])
		doc.Sections.Logs.Queries.ByName = append(doc.Sections.Logs.Queries.ByName, doc.Sections.Logs.Queries.ByName[0])
	}
	html := rendered(t, doc, report.HTML, report.RenderOptions{})
	checkHTML(t, html)
	if len(html) > 150<<10 {
		t.Errorf("got %d bytes, want at most 150 KiB", len(html))
	}
}

func TestHTMLEscapesHostileStrings(t *testing.T) {
	t.Parallel()
	for name, evil := range map[string]string{
		"script":         "<script>alert(1)</script>",
		"end of a style": "</style></title></table><script>alert(1)</script>",
		"attribute":      `" onload="alert(1)" x='`,
		"comment":        "<!-- a --> b ]]> c",
		"template":       `{{.Policy}}{{template "cards" .}}`,
		"link":           "javascript:alert(1)",
		"entity":         "&lt;b&gt;&amp;&#x202e;",
		"turned around":  "\u202egnp.exe\u2066",
		"NUL":            "a\x00b",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := checkHTML(t, rendered(t, hostile(t, "harmless"), report.HTML, report.RenderOptions{}))
			got := checkHTML(t, rendered(t, hostile(t, evil), report.HTML, report.RenderOptions{}))
			shown := strings.Map(func(r rune) rune {
				if !unicode.IsPrint(r) {
					return unicode.ReplacementChar
				}
				return r
			}, evil)
			if got.heading != "Report "+shown {
				t.Errorf("got heading %q, want what was written: %q", got.heading, shown)
			}
			if got.policy != want.policy || got.style != want.style || len(got.tables) != len(want.tables) {
				t.Errorf("another page than of harmless strings")
			}
			if texts := slices.Concat(slices.Concat(got.tables...)...); !slices.Contains(texts, shown) {
				t.Errorf("no cell reads %q", shown)
			}
		})
	}
}

func TestPageElementsAreInUse(t *testing.T) {
	t.Parallel()
	html := rendered(t, computed(t, request(), withCourse(), previous(badHour)), report.HTML, report.RenderOptions{})
	for _, element := range slices.Sorted(maps.Keys(pageElements)) {
		if !strings.Contains(html, "<"+element) {
			t.Errorf("no page has the element %s, which is allowed", element)
		}
	}
}
