package rules

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// is is a matcher of PromQL. strconv's escapes are PromQL's.
func is(label, value string) string { return label + "=" + strconv.Quote(value) }

// like is a matcher of PromQL by a regular expression of ours.
func like(label, pattern string) string { return label + "=~" + strconv.Quote(pattern) }

// matchers are those of labels, in the order of their names.
func matchers(labels map[string]string) []string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		all = append(all, is(name, labels[name]))
	}
	return all
}

// series selects the series of a metric.
func series(metric string, matchers ...string) string {
	if len(matchers) == 0 {
		return metric
	}
	return metric + "{" + strings.Join(matchers, ",") + "}"
}

// literal makes text stand for itself in a label or an annotation of an alert, which are templates of Go's.
func literal(text string) string {
	text = strings.ReplaceAll(text, "{{", `{{"{{"}}`)
	// A brace at the end could join one of what comes after.
	if before, found := strings.CutSuffix(text, "{"); found {
		text = before + `{{"{"}}`
	}
	return text
}
