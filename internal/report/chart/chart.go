// Package chart draws charts as SVG elements to be placed in a page. It decides no color: elements have classes that the
// page's style defines, in light, dark and print. All texts are escaped and cut, and values that are not finite are gaps.
package chart

import (
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of a chart.
const (
	MaxPoints = 400 // more are merged: bars added up, lines by their highest value
	MaxLines  = 8
	MaxRows   = 12
	maxLabel  = 28  // characters of a label
	maxText   = 300 // characters of a description
)

// The size of a chart, in the units of its view box. The page scales it.
const (
	width   = 380.0
	height  = 176.0
	left    = 52.0 // of the area of values
	right   = width - 10
	top     = 10.0
	bottom  = height - 22
	atMost  = 4 // ticks of an axis
	textGap = 6.0
	perRune = 6.0 // width of a character of a label
)

// Line is the values of one thing at the chart's points.
type Line struct {
	Label  string
	Class  string    // of the page's style
	Values []float64 // NaN or infinite: none
}

// Limit is a horizontal line, such as a threshold.
type Limit struct {
	Label string
	Class string
	Value float64
}

// Chart has lines, or bars that stand on one another.
type Chart struct {
	ID     string // of the element; unique in the page
	Title  string
	About  string // what it shows, for people who do not see it
	Bars   bool
	Points []string // the label of each point on the horizontal axis
	Lines  []Line
	Limits []Limit
	Format func(float64) string
}

// SVG returns the chart, or an empty string if there is no value to draw.
func (c Chart) SVG() string {
	c = c.bounded()
	highest, some := c.highest()
	if !some {
		return ""
	}
	d := begin(c.ID, c.Title, c.About, height)
	step, ceiling := scale(highest)
	y := func(v float64) float64 { return bottom - (bottom-top)*(min(max(v, 0), ceiling)/ceiling) }
	for v := 0.0; v <= ceiling*1.0001; v += step {
		d.element(`<path class="grid" d="M`, left, " ", y(v), "H", right, `" />`)
		d.text("end", left-textGap, y(v)+3.5, c.Format(v))
	}
	c.drawPoints(d)
	if c.Bars {
		c.drawBars(d, y)
	} else {
		c.drawLines(d, y)
	}
	for _, l := range c.Limits {
		if finite(l.Value) && l.Value <= ceiling {
			d.element(`<path class="line limit `, l.Class, `" d="M`, left, " ", y(l.Value), "H", right, `" />`)
		}
	}
	return d.end()
}

// bounded returns the chart with at most MaxLines lines and limits, and MaxPoints points, and as many values as points.
func (c Chart) bounded() Chart {
	c.Lines = c.Lines[:min(len(c.Lines), MaxLines)]
	c.Limits = c.Limits[:min(len(c.Limits), MaxLines)]
	each := max((len(c.Points)+MaxPoints-1)/MaxPoints, 1) // points merged into one
	points := make([]string, 0, len(c.Points)/each+1)
	for i := 0; i < len(c.Points); i += each {
		points = append(points, c.Points[i])
	}
	lines := make([]Line, len(c.Lines))
	for n, line := range c.Lines {
		merged := make([]float64, len(points))
		for i := range merged {
			merged[i] = math.NaN()
		}
		for i, v := range line.Values[:min(len(line.Values), len(c.Points))] {
			at := &merged[i/each]
			switch {
			case !finite(v):
			case math.IsNaN(*at):
				*at = v
			case c.Bars:
				*at += v
			default:
				*at = max(*at, v)
			}
		}
		lines[n] = Line{line.Label, line.Class, merged}
	}
	c.Points, c.Lines = points, lines
	if c.Format == nil {
		c.Format = func(v float64) string { return strconv.FormatFloat(v, 'g', 3, 64) }
	}
	return c
}

// highest returns the highest value to draw, and whether there is any value.
func (c Chart) highest() (highest float64, some bool) {
	for i := range c.Points {
		sum := 0.0
		for _, line := range c.Lines {
			v := line.Values[i]
			if !finite(v) {
				continue
			}
			some = true
			if c.Bars {
				sum += max(v, 0)
				v = sum
			}
			highest = max(highest, v)
		}
	}
	// A limit far above the values would press them onto the axis.
	farthest := 4 * highest
	for _, l := range c.Limits {
		if finite(l.Value) && l.Value <= farthest {
			highest = max(highest, l.Value*1.05)
		}
	}
	return highest, some && finite(highest)
}

// x returns the middle of a point, and how wide it is.
func (c Chart) x(i int) (middle, wide float64) {
	n := float64(len(c.Points))
	wide = (right - left) / n
	return left + wide*(float64(i)+0.5), wide
}

// drawPoints labels as many points as there is room for, each below its point as far as the chart's edges allow.
func (c Chart) drawPoints(d *drawing) {
	longest := 0
	for _, p := range c.Points {
		longest = max(longest, min(utf8.RuneCountInString(p), maxLabel+1))
	}
	wide := float64(longest) * perRune
	room := int((right - left) / (wide + 2*textGap))
	n := len(c.Points)
	shown := min(n, min(max(room, 2), atMost))
	for k := range shown {
		i := 0
		if shown > 1 {
			i = k * (n - 1) / (shown - 1)
		}
		x, _ := c.x(i)
		anchor := "middle"
		switch {
		case x-wide/2 < left:
			x, anchor = left, "start"
		case x+wide/2 > width:
			x, anchor = width, "end"
		}
		d.text(anchor, x, height-6, c.Points[i])
	}
}

func (c Chart) drawBars(d *drawing, y func(float64) float64) {
	sums := make([]float64, len(c.Points))
	for _, line := range c.Lines {
		d.element(`<path class="area `, line.Class, `" d="`)
		for i, v := range line.Values {
			if !finite(v) || v <= 0 {
				continue
			}
			from := sums[i]
			sums[i] += v
			x, wide := c.x(i)
			wide = min(wide*0.8, 40)
			d.element("M", x-wide/2, " ", y(from), "V", y(sums[i]), "h", wide, "V", y(from), "z")
		}
		d.element(`" />`)
	}
}

func (c Chart) drawLines(d *drawing, y func(float64) float64) {
	for _, line := range c.Lines {
		d.element(`<path class="line `, line.Class, `" d="`)
		for i, v := range line.Values {
			if !finite(v) {
				continue
			}
			x, _ := c.x(i)
			follows := i > 0 && finite(line.Values[i-1])
			goesOn := i+1 < len(line.Values) && finite(line.Values[i+1])
			switch {
			case follows:
				d.element("L", x, " ", y(v))
			case goesOn:
				d.element("M", x, " ", y(v))
			default: // a point alone
				d.element("M", x-1.5, " ", y(v), "h3")
			}
		}
		d.element(`" />`)
	}
}

// scale returns the step between ticks, which is 1, 2 or 5 times a power of ten, and the end of the axis.
func scale(highest float64) (step, ceiling float64) {
	if highest <= 0 || highest > math.MaxFloat64/100 {
		highest = min(max(highest, 1), math.MaxFloat64/100)
	}
	rough := highest / atMost
	power := math.Pow(10, math.Floor(math.Log10(rough)))
	if power == 0 { // of a value too small for its step to be a number
		return 0.25, 1
	}
	step = 10 * power
	for _, times := range []float64{1, 2, 5} {
		if times*power >= rough {
			step = times * power
			break
		}
	}
	return step, step * math.Ceil(highest/step)
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// clean makes a text visible and cuts it.
func clean(s string, limit int) string {
	var b strings.Builder
	n := 0
	for _, r := range s {
		if n == limit {
			b.WriteRune('…')
			break
		}
		if !unicode.IsPrint(r) {
			r = unicode.ReplacementChar
		}
		b.WriteRune(r)
		n++
	}
	return b.String()
}
