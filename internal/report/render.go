package report

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/watchbill/watchbill/internal/text"
)

// Format is an output format of reports.
type Format string

// The formats.
const (
	Text     Format = "text"     // for a terminal
	JSON     Format = "json"     // the document
	Markdown Format = "markdown" // GitHub flavored, with tables
	CSV      Format = "csv"      // one figure a line: section, name, metric, value, unit
	HTML     Format = "html"     // a self-contained page
)

// Formats returns all formats.
func Formats() []Format { return []Format{Text, JSON, Markdown, CSV, HTML} }

// ParseFormat returns the format with a name. Its error lists the valid names.
func ParseFormat(name string) (Format, error) {
	if format := Format(name); slices.Contains(Formats(), format) {
		return format, nil
	}
	return "", fmt.Errorf("format %s is not one of %s", text.Quote(name, 40), joined(Formats()))
}

// ContentType returns the media type of the format.
func (f Format) ContentType() string {
	switch f {
	case JSON:
		return "application/json"
	case Markdown:
		return "text/markdown; charset=utf-8"
	case CSV:
		return "text/csv; charset=utf-8; header=present"
	case HTML:
		return "text/html; charset=utf-8"
	default:
		return "text/plain; charset=utf-8"
	}
}

// RenderOptions are the options of Render.
type RenderOptions struct {
	Colour bool // ANSI colors, in Text
}

// Render writes a report. Documents are not trusted: their strings cannot send escape sequences to a terminal, break
// out of a Markdown table, become a formula in a spreadsheet or markup in a page.
func Render(w io.Writer, doc Document, format Format, opts RenderOptions) error {
	var out string
	switch format {
	case JSON:
		var b strings.Builder
		encoder := json.NewEncoder(&b)
		encoder.SetEscapeHTML(false) // otherwise < is written as \u003c
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(doc); err != nil {
			return fmt.Errorf("rendering report %s as JSON: %w", text.Quote(doc.ID, 40), err)
		}
		out = b.String()
	case Text:
		out = renderText(doc, opts)
	case Markdown:
		out = renderMarkdown(doc)
	case CSV:
		out = renderCSV(doc)
	case HTML:
		out = renderHTML(doc)
	default:
		return fmt.Errorf("rendering report %s: unknown format %s", text.Quote(doc.ID, 40), text.Quote(string(format), 40))
	}
	if _, err := io.WriteString(w, out); err != nil {
		return fmt.Errorf("writing report %s: %w", text.Quote(doc.ID, 40), err)
	}
	return nil
}
