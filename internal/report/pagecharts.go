package report

import (
	"strconv"

	"github.com/watchbill/watchbill/internal/number"
)

func (p pageOf) writeChanges(m *markup) {
	if !p.Compares {
		return
	}
	m.put("<section class=\"changes\">\n<h2>What changed against the window before</h2>")
	if len(p.Changes) == 0 {
		m.put("\n<p>No objective changed, and no figure by a tenth or more.</p>")
	} else {
		m.put("\n<ul>")
		for _, change := range p.Changes {
			m.text("\n<li>", change, "</li>")
		}
		m.put("\n</ul>")
	}
	m.put("\n</section>\n")
}

func (p pageOf) writeCharts(m *markup) {
	if len(p.Charts) == 0 {
		return
	}
	m.put("<div class=\"charts\">")
	for _, c := range p.Charts {
		m.text("\n<figure>\n<figcaption><h2>", c.Title, "</h2></figcaption>\n")
		m.put(c.SVG)
		if len(c.Keys) > 0 {
			m.put("\n<p class=\"keys\">")
			for _, k := range c.Keys {
				m.text(`<span class="key"><svg width="10" height="10" viewBox="0 0 10 10" aria-hidden="true"><circle class="area `, k.Class, `" cx="5" cy="5" r="4" /></svg>`)
				m.text("", k.Label, "")
				m.optional(" <strong>", k.Figure, "</strong>")
				m.put("</span> ")
			}
			m.put("</p>")
		}
		m.put("\n</figure>")
	}
	m.put("\n</div>\n")
	p.writeCourse(m)
}

// courseHeads are the columns of courseRows.
var courseHeads = []fixed{"from, in UTC", "requests", "5xx", "4xx", "polls, p50", "p95", "p99", "polls per agent"}

// courseRows returns the figures of the charts over time.
func courseRows(course []CoursePoint) []pageRow {
	var rows []pageRow
	for _, p := range course[:min(len(course), maxCourse)] {
		row := pageRow{Label: minute(p.From)}
		for _, n := range []int64{p.Requests, p.Errors, p.ClientErrors} {
			row.Cells = append(row.Cells, pageCell{Text: number.Grouped(n)})
		}
		for _, v := range []cell{ms(p.P50), ms(p.P95), ms(p.P99), rps(p.RPSPerAgent)} {
			row.Cells = append(row.Cells, pageCell{Text: v.text})
		}
		rows = append(rows, row)
	}
	return rows
}

// maxCourse is the maximum number of rows of a course's table.
const maxCourse = 500

func (p pageOf) writeCourse(m *markup) {
	if len(p.Course) == 0 {
		return
	}
	m.text("<details>\n<summary>The figures of the charts over time, in ", strconv.Itoa(len(p.Course)), " steps</summary>\n<div class=\"scroll\">\n<table>\n<thead><tr>")
	for _, head := range courseHeads {
		m.put(`<th scope="col">`, head, "</th>")
	}
	m.put("</tr></thead>\n<tbody>")
	for _, row := range p.Course {
		m.text("\n<tr><th scope=\"row\">", row.Label, "</th>")
		for _, c := range row.Cells {
			m.put("<td")
			c.write(m)
		}
		m.put("</tr>")
	}
	m.put("\n</tbody>\n</table>\n</div>\n</details>\n")
}
