package report

import (
	"encoding/csv"
	"strings"
)

// renderCSV writes one figure a line, with line ends as in RFC 4180. Figures without a sample have an empty value.
func renderCSV(doc Document) string {
	var b strings.Builder
	w := csv.NewWriter(&b)
	w.UseCRLF = true
	write := func(section, name, metric, value, unit string) {
		// The writer cannot fail, since a strings.Builder does not.
		_ = w.Write([]string{section, inert(name), metric, value, inert(unit)})
	}
	write("section", "name", "metric", "value", "unit")
	for _, t := range append([]table{headTable(doc)}, tables(doc)...) {
		for _, r := range t.rows {
			for i, c := range r.cells {
				if t.columns[i].metric == "" {
					continue
				}
				value := c.raw
				if c.words {
					value = inert(value)
				}
				write(t.section, r.name, t.columns[i].metric, value, c.unit)
			}
		}
	}
	w.Flush()
	return b.String()
}

// headTable returns the document's metadata.
func headTable(doc Document) table {
	window := func(prefix string, c Coverage) []row {
		return []row{
			entry(prefix+"from", "", moment(&c.From, "")),
			entry(prefix+"to", "", moment(&c.To, "")),
			entry(prefix+"covered_seconds", "", figure(&c.CoveredSeconds, "s", inSeconds)),
		}
	}
	t := table{section: "report", columns: []column{valueColumn("")}, rows: []row{
		entry("id", "", words(doc.ID)),
		entry("name", "", words(doc.Name)),
		entry("generated_at", "", moment(&doc.GeneratedAt, "")),
		entry("verdict", "", words(string(doc.Verdict))),
	}}
	t.rows = append(t.rows, window("window_", doc.Window)...)
	if doc.Previous != nil {
		t.rows = append(t.rows, entry("previous_verdict", "", words(string(doc.Previous.Verdict))))
		t.rows = append(t.rows, window("previous_window_", doc.Previous.Window)...)
	}
	return t
}

// inert escapes a text that spreadsheets would evaluate as a formula
// (https://owasp.org/www-community/attacks/CSV_Injection).
func inert(s string) string {
	s = visible(s)
	if strings.IndexAny(strings.TrimLeft(s, " "), "=+-@＝＋－＠") == 0 {
		return "'" + s
	}
	return s
}
