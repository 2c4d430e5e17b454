package main

import (
	"fmt"
	"regexp"

	common "go.opentelemetry.io/proto/otlp/common/v1"
)

// attribute is a name and a value that was exported, as text.
type attribute struct{ name, value string }

// attributesOf are all attributes of the exports' resources, scopes, spans and events.
func attributesOf(seen *observed) (all []attribute) {
	add := func(from []*common.KeyValue) {
		for _, a := range from {
			all = append(all, attribute{a.GetKey(), textOf(a.GetValue())})
		}
	}
	for _, e := range seen.exports {
		for _, resource := range e.request.GetResourceSpans() {
			add(resource.GetResource().GetAttributes())
			for _, scope := range resource.GetScopeSpans() {
				add(scope.GetScope().GetAttributes())
				for _, span := range scope.GetSpans() {
					all = append(all, attribute{"the span's name", span.GetName()})
					add(span.GetAttributes())
					for _, event := range span.GetEvents() {
						add(event.GetAttributes())
					}
				}
			}
		}
	}
	return all
}

// recordsOf are the bodies and attributes of the exports' log records, which are evidence of content alone: counts are read from spans.
func recordsOf(seen *observed) (all []attribute) {
	for _, e := range seen.logs {
		for _, resource := range e.request.GetResourceLogs() {
			for _, scope := range resource.GetScopeLogs() {
				for _, record := range scope.GetLogRecords() {
					all = append(all, attribute{"the body of the log record " + record.GetEventName(), textOf(record.GetBody())})
					for _, a := range record.GetAttributes() {
						all = append(all, attribute{a.GetKey(), textOf(a.GetValue())})
					}
				}
			}
		}
	}
	return all
}

func textOf(v *common.AnyValue) string {
	if s, ok := v.GetValue().(*common.AnyValue_StringValue); ok {
		return s.StringValue
	}
	return fmt.Sprint(v) // numbers as they are, lists with all their entries
}

// asked are attributes of what a call was asked, and of the messages that a step passes on. They can hold the counts of the
// calls before it.
var asked = regexp.MustCompile(`^(input\.value|(traceloop\.entity|gen_ai\.(task|workflow))\.(in|out)put|llm\.input_messages|gen_ai\.input|gen_ai\.prompt)`)

// found is the name of an attribute that has a piece of the evidence, as a whole number or a text.
func found(sent []attribute, evidence []string) string {
	for _, e := range evidence {
		if e == "" {
			continue
		}
		whole := regexp.MustCompile(`(^|[^0-9.])` + regexp.QuoteMeta(e) + `($|[^0-9.])`)
		for _, a := range sent {
			if !asked.MatchString(a.name) && whole.MatchString(a.value) {
				return a.name
			}
		}
	}
	return ""
}
