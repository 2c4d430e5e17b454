package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// figure is a measured value.
type figure struct {
	name  string
	value float64
	unit  string // ratio, ms, MiB, …
	aim   aim
}

// aim is the target of a figure. The zero value is no target.
type aim struct {
	symbol string // <=, >= or =
	bound  float64
}

func atLeast(bound float64) aim { return aim{">=", bound} }
func atMost(bound float64) aim  { return aim{"<=", bound} }

// exactly is a target that noise does not affect: missing it fails the whole run.
func exactly(bound float64) aim { return aim{"=", bound} }

func (f figure) met() bool {
	switch f.aim.symbol {
	case "<=":
		return f.value <= f.aim.bound
	case ">=":
		return f.value >= f.aim.bound
	case "=":
		return f.value == f.aim.bound
	default:
		return true
	}
}

// number formats a value with three significant digits or as an integer.
func number(value float64) string {
	if value >= 100 || value == float64(int64(value)) {
		return fmt.Sprintf("%.0f", value)
	}
	return fmt.Sprintf("%.3g", value)
}

// printTable prints the figures for people.
func printTable(w io.Writer, figures []figure) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, f := range figures {
		words := []string{f.name, number(f.value), f.unit, "", ""}
		if f.aim.symbol != "" {
			words[3] = f.aim.symbol + " " + number(f.aim.bound)
			if words[4] = "met"; !f.met() {
				words[4] = "MISSED"
			}
		}
		if _, err := fmt.Fprintln(table, strings.Join(words, "\t")); err != nil {
			return err
		}
	}
	return table.Flush()
}

// printLines prints the figures for programs, one per line.
func printLines(w io.Writer, figures []figure) error {
	for _, f := range figures {
		if _, err := fmt.Fprintf(w, "%s %s %s\n", f.name, number(f.value), f.unit); err != nil {
			return err
		}
	}
	return nil
}

func median(values []float64) float64 {
	values = slices.Sorted(slices.Values(values))
	if n := len(values); n%2 == 0 {
		return (values[n/2-1] + values[n/2]) / 2
	}
	return values[len(values)/2]
}
