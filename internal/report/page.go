package report

// write writes the page. It is not a template of html/template: that calls methods by name, for which the linker keeps all
// methods of all types, a fifth of the program.
func (p pageOf) write(m *markup) {
	p.writeHead(m)
	p.writeChanges(m)
	p.writeCharts(m)
	m.put("<main>")
	for _, tab := range p.Tabs {
		m.text("\n<section id=\"", tab.ID, `"`)
		if tab.Wide {
			m.put(` class="wide"`)
		}
		m.put(">")
		switch {
		case len(tab.Rows) == 0:
			m.text("\n<h2>", tab.Title, "</h2>")
			m.text("\n<p>", tab.None, "</p>")
		case tab.Cards:
			tab.writeCards(m)
		default:
			tab.writeTable(m)
		}
		m.put("\n</section>")
	}
	m.put("\n</main>\n</body>\n</html>\n\n\n")
}

func (p pageOf) writeHead(m *markup) {
	m.put("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\" />\n")
	m.text(`<meta http-equiv="Content-Security-Policy" content="`, p.Policy, "\" />\n")
	m.put(`<meta name="viewport" content="width=device-width, initial-scale=1" />
<meta name="color-scheme" content="light dark" />
<meta name="referrer" content="no-referrer" />
`)
	m.text("<title>", p.Verdict, ": report")
	if p.named() {
		m.text(" ", p.Name, "")
	}
	m.text(", ", p.When, "")
	m.put("</title>\n<style>", fixed(pageStyle), "</style>\n</head>\n<body>\n<header>\n")
	m.put(`<p class="brand"><svg width="20" height="20" viewBox="0 0 20 20" aria-hidden="true">`,
		`<circle cx="10" cy="10" r="8.5" /><path d="M10 4.5v5.5l3.8 2.4" /></svg>Watchbill</p>`, "\n<h1>Report")
	if p.named() {
		m.text(" <bdi>", p.Name, "</bdi>")
	}
	m.text("</h1>\n<p class=\"verdict ", p.Tone, `">`)
	m.put(`<svg width="32" height="32" viewBox="0 0 32 32" aria-hidden="true"><circle cx="16" cy="16" r="16" />`)
	switch p.Tone {
	case good.class():
		m.put(`<path d="M9 16.5l5 5 9.5-10.5" />`)
	case bad.class():
		m.put(`<path d="M10.5 10.5l11 11m0-11l-11 11" />`)
	default:
		m.put(`<path d="M9.5 16h13" />`)
	}
	m.text("</svg><span><strong>", p.Verdict, "</strong>")
	m.text("", p.Rest, "</span></p>\n<dl>")
	for _, head := range p.Heads {
		m.text("\n<div><dt>", head.Label, "</dt>")
		m.text("<dd><bdi>", head.Text, "</bdi></dd></div>")
	}
	m.put("\n</dl>")
	if len(p.Links) > 2 {
		m.put("\n<nav aria-label=\"Sections\"><ul>")
		for _, tab := range p.Links {
			m.text("\n<li><a href=\"#", tab.ID, `">`)
			m.text("", tab.Link, "</a></li>")
		}
		m.put("\n</ul></nav>")
	}
	m.put("\n</header>\n")
}

// named reports whether the report has its own name.
func (p pageOf) named() bool { return p.Name != "report" }

func (tab pageTable) writeTable(m *markup) {
	m.put("\n<div class=\"scroll\"")
	if tab.Wide {
		m.text(` role="region" tabindex="0" aria-labelledby="`, tab.ID, `-title"`)
	}
	m.text(">\n<table>\n<caption id=\"", tab.ID, `-title">`)
	m.text("<h2>", tab.Title, "</h2></caption>\n")
	m.text(`<thead><tr><th scope="col">`, tab.Things, "</th>")
	for _, column := range tab.Columns {
		column.write(m, `<th scope="col"`)
	}
	m.put("</tr></thead>\n<tbody>")
	for _, row := range tab.Rows {
		m.put("\n<tr")
		m.optional(` class="`, row.Class, `"`)
		m.text(`><th scope="row">`, row.Label, "</th>")
		for _, cell := range row.Cells {
			m.put("<td")
			cell.write(m)
		}
		m.put("</tr>")
	}
	m.put("\n</tbody>\n</table>\n</div>")
}

// writeCards writes the table with roles, so that screen readers present a table even where the style lays it out as
// cards.
func (tab pageTable) writeCards(m *markup) {
	m.text("\n<div class=\"cards\">\n<table role=\"table\">\n<caption><h2>", tab.Title, "</h2></caption>\n")
	m.text(`<thead role="rowgroup"><tr role="row"><th role="columnheader" scope="col">`, tab.Things, "</th>")
	for _, column := range tab.Columns {
		column.write(m, `<th role="columnheader" scope="col"`)
	}
	m.put("</tr></thead>\n<tbody role=\"rowgroup\">")
	for _, row := range tab.Rows {
		m.put("\n<tr role=\"row\"")
		m.optional(` class="`, row.Class, `"`)
		m.text(`><th role="rowheader" scope="row">`, row.Label, "</th>")
		for _, cell := range row.Cells {
			m.text(`<td role="cell" data-head="`, cell.Head, `"`)
			cell.write(m)
		}
		m.put("</tr>")
	}
	m.put("\n</tbody>\n</table>\n</div>")
}

// write writes the column's head after start, its tag without the end.
func (c pageColumn) write(m *markup, start fixed) {
	m.put(start)
	m.optional(` class="`, c.Class, `"`)
	m.text(">", c.Head, "</th>")
}

// write writes the rest of the cell's tag and the cell.
func (c pageCell) write(m *markup) {
	m.optional(` class="`, c.Class, `"`)
	m.put(">")
	m.optional(`<span aria-hidden="true">`, c.Mark, "\u00a0</span>")
	m.text("", c.Text, "")
	m.optional(`<svg class="bar" aria-hidden="true"><rect height="4" width="`, c.Bar, `%" /></svg>`)
	m.put("</td>")
}
