package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/watchbill/watchbill/internal/text"
)

// ANSI escape sequences.
const (
	ansiReset  = "\x1b[0m"
	ansiBold   = "\x1b[1m"
	ansiRed    = "\x1b[31m"
	ansiGreen  = "\x1b[32m"
	ansiYellow = "\x1b[33m"
)

// maxBrief limits texts in lists, in characters.
const maxBrief = 60

// console holds the streams of a command and their capabilities.
type console struct {
	stdio
	outIsTerminal, errIsTerminal bool
	colour                       bool // on out
}

// newConsole inspects the streams. Colors are used on terminals that support them unless NO_COLOR is set
// (https://no-color.org).
func newConsole(std stdio, env func(string) (string, bool)) console {
	noColour, _ := env("NO_COLOR")
	kind, _ := env("TERM")
	c := console{stdio: std, outIsTerminal: isTerminal(std.out)}
	c.errIsTerminal = isTerminal(std.err) && kind != "dumb" // cannot overwrite a line either
	c.colour = c.outIsTerminal && noColour == "" && kind != "dumb"
	return c
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// text returns out for text from others. If out is a terminal, control characters are replaced.
func (c console) text() io.Writer { return c.safe(c.out) }

func (c console) safe(w io.Writer) io.Writer {
	if c.outIsTerminal {
		return &harmless{out: w}
	}
	return w
}

// note writes a message for the user to stderr.
func (c console) note(format string, args ...any) {
	for line := range strings.SplitSeq(fmt.Sprintf(format, args...), "\n") {
		c.tell("watchbill: ", line, "\n")
	}
}

// tell writes to stderr and ignores errors.
func (c console) tell(text ...string) { _, _ = io.WriteString(c.err, strings.Join(text, "")) }

// say is note without formatting.
func (c console) say(text string) { c.note("%s", text) }

func (c console) json(value any) error {
	encoder := json.NewEncoder(c.text())
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}

// cell is a cell of a table. colour may be empty.
type cell struct{ text, colour string }

func plain(text string) cell { return cell{text: text} }

// brief returns a cell with a text that may be shortened. Ids and tokens must not be.
func brief(s string) cell { return plain(text.FitRunes(s, maxBrief)) }

// table formats aligned columns, without a heading if head is nil. Each cell is shown on one line.
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
			row[i].text = text.OneLine(row[i].text)
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

// print writes text that is safe for terminals.
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

// timestamp formats a time for people; empty for the zero time.
func timestamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}

// listing holds the flags of a list's output.
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

// truncated notes that a list was cut off, if it was.
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

// plural formats a count with its noun: 1 execution, 2 executions.
func plural[N int | int64](n N, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
