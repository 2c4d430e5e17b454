package rules

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// is returns a PromQL matcher. strconv's escapes are PromQL's.
func is(label, value string) string { return label + "=" + strconv.Quote(value) }

// like returns a PromQL matcher with a regular expression, which must not be user input.
func like(label, pattern string) string { return label + "=~" + strconv.Quote(pattern) }

// matchers returns matchers of labels, sorted by name.
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

// literal escapes a text for an alert's labels and annotations, which are Go templates.
func literal(text string) string {
	text = strings.ReplaceAll(text, "{{", `{{"{{"}}`)
	// A brace at the end could form "{{" with the following text.
	if before, found := strings.CutSuffix(text, "{"); found {
		text = before + `{{"{"}}`
	}
	return text
}
