package report

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"strconv"
	"strings"

	"github.com/watchbill/watchbill/internal/number"
)

// A page is one self-contained file without scripts, meant to be mailed and kept.
//
//go:embed page.css
var pageStyle string

// PagePolicy is the Content-Security-Policy of a page. It allows a page its own style and nothing else. It is a second
// defense: markup already escapes all data.
var PagePolicy = func() string {
	hash := sha256.Sum256([]byte(pageStyle))
	return "default-src 'none'; base-uri 'none'; form-action 'none'; style-src 'sha256-" +
		base64.StdEncoding.EncodeToString(hash[:]) + "'"
}()

// pageOf is the data of a page. Its strings are printable; markup escapes them.
type pageOf struct {
	Policy      string
	Name        string
	Verdict     string
	Tone        string
	Rest        string // of the headline, after the verdict
	When        string // the window, in the title
	Heads       []pageHead
	Compares    bool     // with the window before
	Changes     []string // against it
	Charts      []pageChart
	Course      []pageRow   // the figures of the charts over time
	Links, Tabs []pageTable // the tables; Links has those that begin a section
}

type pageHead struct{ Label, Text string }

type pageTable struct {
	ID      string
	Title   string
	Link    string // Title without the order
	None    string // shown without rows
	Things  string
	Wide    bool // needs the full width of the page
	Cards   bool // shown as a card per row on narrow pages
	Columns []pageColumn
	Rows    []pageRow
}

type pageColumn struct{ Head, Class string }

type pageRow struct {
	Label string
	Class string
	Cells []pageCell
}

type pageCell struct {
	Text  string
	Class string
	Mark  string // a shape that repeats the meaning of the text and the color
	Bar   string // length in percent; empty: no bar
	Head  string // of its column, if not shown above it
}

func renderHTML(doc Document) string {
	var m markup
	pageFor(doc).write(&m)
	return m.String()
}

func pageFor(doc Document) pageOf {
	headline := Headline(doc)
	verdict := printable(string(doc.Verdict))
	p := pageOf{
		Policy: PagePolicy,
		Name:   printable(doc.Name), Verdict: verdict, Tone: doc.Verdict.tone().class(),
		Rest:     strings.TrimPrefix(headline, verdict),
		When:     minute(doc.Window.From) + " to " + minute(doc.Window.To) + " UTC",
		Heads:    []pageHead{{"Window", doc.Window.span()}},
		Compares: doc.Previous != nil, Changes: changesOf(doc), Charts: chartsOf(doc), Course: courseRows(doc.Course),
	}
	if doc.Previous != nil {
		p.Heads = append(p.Heads, pageHead{"Previous", doc.Previous.Window.span()})
	}
	p.Heads = append(p.Heads, pageHead{"Made", timestamp(doc.GeneratedAt)}, pageHead{"Id", printable(doc.ID)})
	section := ""
	for i, t := range tables(doc) {
		tab := t.onPage("t" + strconv.Itoa(i+1))
		p.Tabs = append(p.Tabs, tab)
		if begins, _, _ := strings.Cut(t.section, "."); begins != section {
			section = begins
			p.Links = append(p.Links, tab)
		}
	}
	return p
}

// onPage returns the table for a page.
func (t table) onPage(id string) pageTable {
	const narrow = 4 // columns of figures
	tab := pageTable{
		ID: id, Title: printable(t.title), None: t.none, Things: printable(t.things),
		Wide: len(t.columns) > narrow || t.widens(), Cards: t.section == objectivesSection,
	}
	tab.Link, _, _ = strings.Cut(tab.Title, ",")
	for _, c := range t.columns {
		tab.Columns = append(tab.Columns, pageColumn{printable(c.head), c.class()})
	}
	for _, r := range t.rows {
		line := pageRow{Label: printable(r.label)}
		for i, c := range r.cells {
			cell := c.onPage(t.columns[i])
			if tab.Cards {
				cell.Head = tab.Columns[i].Head
			}
			if c.tone == bad {
				line.Class = bad.class()
			}
			line.Cells = append(line.Cells, cell)
		}
		tab.Rows = append(tab.Rows, line)
	}
	return tab
}

// widens reports whether the table has columns of sentences.
func (t table) widens() bool {
	for i, c := range t.columns {
		for _, r := range t.rows {
			if c.words && len(r.cells[i].text) > 40 {
				return true
			}
		}
	}
	return false
}

func (c column) class() string {
	if c.words {
		return "w"
	}
	return ""
}

func (c cell) onPage(of column) pageCell {
	one := pageCell{Text: printable(c.text), Class: strings.TrimSpace(of.class() + " " + c.tone.class())}
	switch {
	case c.raw == "" && c.text == nothing:
		one.Class = strings.TrimSpace(of.class() + " none")
	case c.tone == good:
		one.Mark = "✓"
	case c.tone == bad && of.words:
		one.Mark = "✕"
	}
	if c.bar && c.value != nil && *c.value == *c.value { // not NaN
		one.Bar = number.Decimals(100*min(max(*c.value, 0), 1), 1)
	}
	return one
}

// class returns the style's class of a tone.
func (t tone) class() string {
	switch t {
	case good:
		return "good"
	case bad:
		return "bad"
	case unsure:
		return "unsure"
	default:
		return ""
	}
}
