package chart

// Row is a thing with its parts, one for each of the classes of Rows.
type Row struct {
	Label string
	Parts []float64
	Text  string // of the whole
}

// Rows is a chart of horizontal bars.
type Rows struct {
	ID, Title, About string
	Classes          []string
	Rows             []Row
	Full             float64 // the longest bar; 0: the highest sum
}

const rowTall = 30.0

// SVG returns the chart, or an empty string if there is no value to draw.
func (r Rows) SVG() string {
	rows := r.Rows[:min(len(r.Rows), MaxRows)]
	full, some := r.Full, false
	for _, row := range rows {
		sum := 0.0
		for _, v := range row.Parts {
			if finite(v) {
				some = true
				sum += max(v, 0)
			}
		}
		if r.Full <= 0 {
			full = max(full, sum)
		}
	}
	if !some || !finite(full) {
		return ""
	}
	full = max(full, 1e-9)
	d := begin(r.ID, r.Title, r.About, max(rowTall*float64(len(rows))+4, 60))
	for i, row := range rows {
		y := rowTall*float64(i) + 12
		d.text("start", 0, y, row.Label)
		d.text("end", width, y, row.Text)
		d.element(`<path class="track" d="M0 `, y+5, "h", width, `v7H0z" />`)
		x := 0.0
		for n, v := range row.Parts {
			if n == len(r.Classes) || !finite(v) || v <= 0 {
				continue
			}
			long := min(v/full*width, width-x)
			d.element(`<path class="area `, r.Classes[n], `" d="M`, x, " ", y+5, "h", long, "v7h", -long, `z" />`)
			x += long
		}
	}
	return d.end()
}
