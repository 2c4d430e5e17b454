package chart

import (
	"strconv"
	"strings"
)

// drawing is an SVG element being written.
type drawing struct{ out strings.Builder }

var escape = strings.NewReplacer(`"`, "&#34;", "&", "&amp;", "'", "&#39;", "<", "&lt;", ">", "&gt;")

// begin writes the element's start with its title and description.
func begin(id, title, about string, tall float64) *drawing {
	d := &drawing{}
	id = escape.Replace(clean(id, maxLabel))
	d.element(`<svg class="chart" role="img" aria-labelledby="`, id, `-title `, id, `-about" viewBox="0 0 `, width, " ", tall, `">`)
	d.element(`<title id="`, id, `-title">`, escape.Replace(clean(title, maxText)), `</title>`)
	d.element(`<desc id="`, id, `-about">`, escape.Replace(clean(about, maxText)), `</desc>`)
	return d
}

// element writes markup: strings as they are, and numbers with one decimal.
func (d *drawing) element(parts ...any) {
	for _, part := range parts {
		switch part := part.(type) {
		case string:
			d.out.WriteString(part)
		case float64:
			d.out.WriteString(strings.TrimSuffix(strconv.FormatFloat(part, 'f', 1, 64), ".0"))
		}
	}
}

// text writes a label.
func (d *drawing) text(anchor string, x, y float64, s string) {
	d.element(`<text class="`, anchor, `" x="`, x, `" y="`, y, `">`, escape.Replace(clean(s, maxLabel)), "</text>")
}

func (d *drawing) end() string { return d.out.String() + "</svg>" }
