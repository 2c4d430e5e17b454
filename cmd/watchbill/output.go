package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/watchbill/watchbill/internal/text"
)

// ANSI's escape sequences.
const (
	ansiReset  = "\x1b[0m"
	ansiBold   = "\x1b[1m"
	ansiRed    = "\x1b[31m"
	ansiGreen  = "\x1b[32m"
	ansiYellow = "\x1b[33m"
)

// maxBrief is how much of a text for people a list shows, in characters.
const maxBrief = 60

// console is the streams of a command, and what they can take.
type console struct {
	stdio
	outIsTerminal, errIsTerminal bool
	colour                       bool // on out
}

// newConsole looks at the streams. Colours are for terminals that can show them, and people who want them
// (https://no-color.org).
func newConsole(std stdio, env func(string) (string, bool)) console {
	noColour, _ := env("NO_COLOR")
	kind, _ := env("TERM")
	c := console{stdio: std, outIsTerminal: isTerminal(std.out)}
	c.errIsTerminal = isTerminal(std.err) && kind != "dumb" // which cannot write over a line either
	c.colour = c.outIsTerminal && noColour == "" && kind != "dumb"
	return c
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// text is out for text of others: where that is a terminal, it cannot be steered by it.
func (c console) text() io.Writer { return c.safe(c.out) }

func (c console) safe(w io.Writer) io.Writer {
	if c.outIsTerminal {
		return &harmless{out: w}
	}
	return w
}

// note tells a person something beside the output.
func (c console) note(format string, args ...any) {
	for line := range strings.SplitSeq(fmt.Sprintf(format, args...), "\n") {
		c.tell("watchbill: ", line, "\n")
	}
}

// tell writes to stderr. Where that fails, there is nobody to tell.
func (c console) tell(text ...string) { _, _ = io.WriteString(c.err, strings.Join(text, "")) }

// say is note for a text that is complete.
func (c console) say(text string) { c.note("%s", text) }

func (c console) json(value any) error {
	encoder := json.NewEncoder(c.text())
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}

// cell is a table's, in a colour or none.
type cell struct{ text, colour string }

func plain(text string) cell { return cell{text: text} }

// brief is a text that need not be shown to its end. Ids and tokens must.
func brief(s string) cell { return plain(text.FitRunes(s, maxBrief)) }

// table lays out aligned columns, without heads if head is nil. What is in the cells is shown on one line each.
func (c console) table(head []string, rows [][]cell) string {
	grid := rows
	if head != nil {
		heads := make([]cell, len(head))
		for i, text := range head {
			heads[i] = cell{text, ansiBold}
		}
		grid = append([][]cell{heads}, rows...)
	}
	var widths []int
	for _, row := range grid {
		for i := range row {
			row[i].text = oneLine(row[i].text)
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i].text))
		}
	}
	var b strings.Builder
	for _, row := range grid {
		var line strings.Builder
		for i, cell := range row {
			line.WriteString(c.paint(cell.text, cell.colour))
			line.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell.text)+2))
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	return b.String()
}

// print writes what was made fit for the terminal.
func (c console) print(text string) error {
	_, err := io.WriteString(c.out, text)
	return err
}

func (c console) paint(text, colour string) string {
	if !c.colour || colour == "" || text == "" {
		return text
	}
	return colour + text + ansiReset
}

// oneLine replaces what could steer a terminal or hide in a text: control characters, with them escape sequences and
// line breaks, and changes of writing direction.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsGraphic(r) {
			return utf8.RuneError
		}
		return r
	}, strings.TrimSpace(s))
}

// age writes how long something is past. now is by the clock that t is of.
func age(t, now time.Time) string {
	d := max(now.Sub(t), 0)
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	default:
		return fmt.Sprintf("%dd", int(d.Hours()/24))
	}
}

func ago(t, now time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return age(t, now) + " ago"
}

// timestamp writes a time for a person, and nothing for none.
func timestamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}

// listing is how a list is shown.
type listing struct {
	style style
	limit int
}

const maxEntries = 100_000

func (l *listing) bind(flags *pflag.FlagSet) {
	l.style.bind(flags)
	flags.IntVar(&l.limit, "limit", 1000, "max entries to list")
}

func (l *listing) check(wrong *faults) {
	l.style.check(wrong)
	wrong.add(l.limit < 1 || l.limit > maxEntries, "--limit", "must be from 1 to %d", maxEntries)
}

// truncated says that a list was cut.
func (c console) truncated(more bool, limit int) {
	if more {
		c.note("there are more than %d; --limit shows more", limit)
	}
}

// style is table or json.
type style string

func (s *style) bind(flags *pflag.FlagSet) {
	flags.StringVarP((*string)(s), "format", "o", "table", "output `format`: table or json")
}

func (s *style) check(wrong *faults) {
	wrong.add(*s != "table" && *s != "json", "--format", "must be table or json, not %q", text.FitRunes(string(*s), 40))
}

func (s *style) json() bool { return *s == "json" }

// plural writes a count with its noun: 1 execution, 2 executions.
func plural[N int | int64](n N, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
