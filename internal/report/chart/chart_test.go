package chart_test

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/watchbill/watchbill/internal/report/chart"
)

// texts parses an SVG element, checks its numbers, and returns its texts.
func texts(t *testing.T, svg string) []string {
	t.Helper()
	var all []string
	decoder := xml.NewDecoder(strings.NewReader(svg))
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("%v: %.300s", err, svg)
		}
		switch token := token.(type) {
		case xml.StartElement:
			for _, a := range token.Attr {
				if a.Name.Local == "d" && strings.ContainsAny(a.Value, "NIe") {
					t.Errorf("path %q", a.Value)
				}
			}
		case xml.CharData:
			all = append(all, string(token))
		}
	}
}

func TestValuesOfEveryKind(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		values []float64
		drawn  bool
	}{
		"nothing":    {nil, false},
		"gaps alone": {[]float64{math.NaN(), math.Inf(1), math.Inf(-1)}, false},
		"zero":       {[]float64{0, 0}, true},
		"one":        {[]float64{5}, true},
		"gaps":       {[]float64{1, math.NaN(), 3, math.Inf(1), 2}, true},
		"negative":   {[]float64{-5, 3}, true},
		"huge":       {[]float64{1e300, 1}, true},
		"largest":    {[]float64{math.MaxFloat64, math.MaxFloat64}, true},
		"smallest":   {[]float64{math.SmallestNonzeroFloat64}, true},
	} {
		for _, bars := range []bool{true, false} {
			c := chart.Chart{ID: "c", Title: "T", Bars: bars, Points: make([]string, len(tt.values)), Lines: []chart.Line{{Values: tt.values}}}
			got := c.SVG()
			if (got != "") != tt.drawn {
				t.Errorf("%s, bars %v: got %.200q, want something drawn: %v", name, bars, got, tt.drawn)
			}
			if got != "" {
				texts(t, got)
			}
		}
	}
}

func TestTextsAreEscapedAndCut(t *testing.T) {
	t.Parallel()
	for _, evil := range []string{
		`</text><script>alert(1)</script>`, `" onload="x`, "\u202egnp.exe", "\x1b[2J", "a\x00b", "\xff", strings.Repeat("x", 1<<20),
	} {
		c := chart.Chart{
			ID: evil, Title: evil, About: evil, Points: []string{evil}, Lines: []chart.Line{{Label: evil, Values: []float64{1}}},
			Format: func(float64) string { return evil },
		}
		r := chart.Rows{ID: evil, Title: evil, About: evil, Classes: []string{"c1"}, Rows: []chart.Row{{Label: evil, Parts: []float64{1}, Text: evil}}}
		for _, svg := range []string{c.SVG(), r.SVG()} {
			if strings.ContainsAny(svg, "\u202e\x1b\x00") || strings.Contains(svg, "<script") || len(svg) > 8<<10 {
				t.Errorf("%.40q: got %d bytes: %.200q", evil, len(svg), svg)
			}
			texts(t, svg)
		}
	}
}

func TestChartsAreBounded(t *testing.T) {
	t.Parallel()
	const n = 100_000
	ones := make([]float64, n)
	for i := range ones {
		ones[i] = 1
	}
	c := chart.Chart{ID: "c", Points: make([]string, n), Bars: true}
	r := chart.Rows{ID: "r", Classes: []string{"c1"}}
	for range 50 {
		c.Lines = append(c.Lines, chart.Line{Values: ones})
		r.Rows = append(r.Rows, chart.Row{Label: "x", Parts: ones[:1]})
	}
	if got := c.SVG(); len(got) > 150<<10 {
		t.Errorf("a chart of %d bytes", len(got))
	}
	if got := len(texts(t, r.SVG())); got > 2+2*chart.MaxRows {
		t.Errorf("%d texts", got)
	}
}

func TestAxis(t *testing.T) {
	t.Parallel()
	got := texts(t, chart.Chart{ID: "c", Title: "T", About: "A", Points: []string{"a", "b"}, Lines: []chart.Line{{Values: []float64{3, 7}}}}.SVG())
	if want := "T A 0 2 4 6 8 a b"; strings.Join(got, " ") != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Labels that would overlap are left out.
func TestLabelsOfPoints(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ points, want string }{
		{"02:00,03:00", "02:00 03:00"},
		{"02:00,03:00,04:00,05:00,06:00,07:00,08:00", "02:00 04:00 06:00 08:00"},
		{"30 Nov 02:00,30 Nov 03:00,30 Nov 04:00,30 Nov 05:00,30 Nov 06:00", "30 Nov 02:00 30 Nov 04:00 30 Nov 06:00"},
		{"a label that is long enough,b label that is long enough,c label that is long enough", "a label that is long enough c label that is long enough"},
	} {
		points := strings.Split(tt.points, ",")
		values := make([]float64, len(points))
		values[0] = 8
		svg := chart.Chart{ID: "c", Title: "T", About: "A", Points: points, Lines: []chart.Line{{Values: values}}}.SVG()
		if got, want := strings.Join(texts(t, svg), " "), "T A 0 2 4 6 8 "+tt.want; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// A threshold far above the values is left out, also if a nearer one makes the axis longer.
func TestThresholdsFarAboveTheValues(t *testing.T) {
	t.Parallel()
	limits := []chart.Limit{{Class: "c1", Value: 50}, {Class: "c2", Value: 200}, {Class: "c4", Value: 500}}
	svg := chart.Chart{ID: "c", Title: "T", About: "A", Points: []string{"a", "b"}, Lines: []chart.Line{{Values: []float64{3, 40}}}, Limits: limits}.SVG()
	if got, want := strings.Join(texts(t, svg), " "), "T A 0 20 40 60 a b"; got != want || strings.Count(svg, "limit") != 1 {
		t.Errorf("got %q, want %q, and one threshold", got, want)
	}
}
