package report

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/watchbill/watchbill/internal/number"
)

func (v Verdict) tone() tone {
	switch v {
	case Pass:
		return good
	case Fail:
		return bad
	default:
		return unsure
	}
}

// span returns a window in words, with how much of it was measured.
func (c Coverage) span() string {
	measured := "nothing measured"
	if share := c.share(); share > 0 {
		measured = number.Percent(share) + " measured"
	}
	return fmt.Sprintf("%s to %s UTC, %s", minute(c.From), minute(c.To), measured)
}

// ANSI escape sequences.
const (
	ansiReset  = "\x1b[0m"
	ansiBold   = "\x1b[1m"
	ansiRed    = "\x1b[31m"
	ansiGreen  = "\x1b[32m"
	ansiYellow = "\x1b[33m"
)

// textWriter writes a report for a terminal.
type textWriter struct {
	out    strings.Builder
	colour bool
}

func renderText(doc Document, opts RenderOptions) string {
	w := &textWriter{colour: opts.Colour}
	fmt.Fprintf(&w.out, "%s%s\n", w.paint("Report", ansiBold), printable(titled(doc.Name)))
	fmt.Fprintf(&w.out, "Window   %s\n", doc.Window.span())
	if doc.Previous != nil {
		fmt.Fprintf(&w.out, "Previous %s\n", doc.Previous.Window.span())
	}
	fmt.Fprintf(&w.out, "Made     %s, id %s\n", timestamp(doc.GeneratedAt), printable(doc.ID))
	fmt.Fprintf(&w.out, "\n%s\n", w.toned(Headline(doc), doc.Verdict.tone()))
	for _, t := range tables(doc) {
		w.table(t)
	}
	return w.out.String()
}

func (w *textWriter) table(t table) {
	fmt.Fprintf(&w.out, "\n%s\n", w.paint(strings.ToUpper(t.title), ansiBold))
	if len(t.rows) == 0 {
		fmt.Fprintf(&w.out, "  %s\n", t.none)
		return
	}
	grid := t.grid(printable)
	widths := make([]int, len(t.columns)+1)
	for _, line := range grid {
		for i, c := range line {
			widths[i] = max(widths[i], utf8.RuneCountInString(c.text))
		}
	}
	for _, line := range grid {
		var b strings.Builder
		for i, c := range line {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c.text))
			text := w.toned(c.text, c.tone)
			if i > 0 && !t.columns[i-1].words {
				text = pad + text
			} else {
				text += pad
			}
			b.WriteString("  " + text)
		}
		w.out.WriteString(strings.TrimRight(b.String(), " ") + "\n")
	}
}

// grid returns the cells of a table with its headings and labels, their texts passed through clean.
func (t table) grid(clean func(string) string) [][]cell {
	head := []cell{{text: clean(t.things)}}
	for _, c := range t.columns {
		head = append(head, cell{text: clean(c.head)})
	}
	grid := [][]cell{head}
	for _, r := range t.rows {
		line := []cell{{text: clean(r.label)}}
		for _, c := range r.cells {
			c.text = clean(c.text)
			line = append(line, c)
		}
		grid = append(grid, line)
	}
	return grid
}

func (w *textWriter) toned(s string, t tone) string {
	switch t {
	case good:
		return w.paint(s, ansiGreen)
	case bad:
		return w.paint(s, ansiRed)
	case unsure:
		return w.paint(s, ansiYellow)
	default:
		return s
	}
}

func (w *textWriter) paint(s, ansi string) string {
	if !w.colour {
		return s
	}
	return ansi + s + ansiReset
}

// printable makes a text visible and shortens it for a table.
func printable(s string) string {
	const limit = 160
	s = visible(s)
	if utf8.RuneCountInString(s) <= limit {
		return s
	}
	return string([]rune(s)[:limit]) + "…"
}

// visible replaces characters that could control a terminal or hide in a text: control characters, and with them escape
// sequences and line breaks, and changes of writing direction.
func visible(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return utf8.RuneError
		}
		return r
	}, s)
}
