package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
)

// figure is a result of a trial.
type figure struct {
	name  string
	of    string // the trial; empty for the totals
	value float64
	unit  string
	exact bool // must be 0
}

func (f figure) String() string {
	name := f.name
	if f.of != "" {
		name += "_" + f.of
	}
	return fmt.Sprintf("%s %s %s", name, strconv.FormatFloat(f.value, 'f', decimals(f), 64), f.unit)
}

func decimals(f figure) int {
	if f.unit == "s" || f.value != float64(int64(f.value)) {
		return 2
	}
	return 0
}

// totals returns the totals of all trials: sums of counts, and maxima of times.
func totals(all []figure) []figure {
	var total []figure
	for _, f := range all {
		i := slices.IndexFunc(total, func(t figure) bool { return t.name == f.name })
		switch {
		case i < 0:
			f.of = ""
			total = append(total, f)
		case f.unit == "s" || f.unit == "ms":
			total[i].value = max(total[i].value, f.value)
		default:
			total[i].value += f.value
		}
	}
	return total
}

// The totals to print, in this order. Other figures are printed only for their trials.
var totalNames = []string{
	"acked_lost", "executions_duplicated", "deliveries_missed", "double_claims", "rollup_drift", "requests_failed_on_drain",
	"goroutines_leaked", "idle_polls_failed", "health_wrong", "proxy_requests_failed", "proxy_requests_failed_before", "histories_illegal", "histories_checked", "moves_checked", "recover_seconds",
	"kube_flood_honest_failed", "kube_flood_honest_failed_before",
}

// printFigures writes the figures of each trial and then the totals, and reports whether all that must be 0 are.
func printFigures(w io.Writer, all []figure) (clean bool, err error) {
	lines := all
	sums := totals(all)
	for _, name := range totalNames {
		if i := slices.IndexFunc(sums, func(f figure) bool { return f.name == name }); i >= 0 {
			lines = append(lines, sums[i])
		}
	}
	clean = true
	for _, f := range lines {
		if _, err := fmt.Fprintln(w, f); err != nil {
			return false, err
		}
		clean = clean && (!f.exact || f.value == 0)
	}
	return clean, nil
}
