package main

import (
	"fmt"
	"regexp"

	common "go.opentelemetry.io/proto/slim/otlp/common/v1"
)

// attribute is an exported name and value, as text.
type attribute struct{ name, value string }

// attributesOf returns all attributes of the exports' resources, scopes, spans and events.
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

// recordsOf returns the bodies and attributes of the exports' log records. They are evidence of content only: counts
// are read from spans.
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
	return fmt.Sprint(v) // numbers unchanged, lists with all their entries
}

// asked matches attributes with a call's input and with messages that a step passes on. They may contain the counts of
// previous calls.
var asked = regexp.MustCompile(`^(input\.value|(traceloop\.entity|gen_ai\.(task|workflow))\.(in|out)put|llm\.input_messages|gen_ai\.input|gen_ai\.prompt)`)

// found returns the name of an attribute that contains a piece of the evidence as an integer or a text.
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
