package main

import (
	"slices"
	"testing"

	collector "go.opentelemetry.io/proto/slim/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/slim/otlp/common/v1"
	trace "go.opentelemetry.io/proto/slim/otlp/trace/v1"

	"github.com/watchbill/watchbill/test/conformance/mock"
)

func TestFaults(t *testing.T) {
	t.Parallel()
	text := func(name, value string) *common.KeyValue {
		return &common.KeyValue{Key: name, Value: &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: value}}}
	}
	truth := mock.Expected{Inferences: 1, Tokens: mock.Tokens{Input: 1237, Output: 2113, CacheRead: 431}, CostNanoUSD: 7}
	right := recorded{
		Inferences: 1, Requests: 1, Tokens: truth.Tokens, Cost: 7, Status: []string{"success"}, Content: true,
	}
	for name, tt := range map[string]struct {
		change  func(*recorded)
		notSent []string
		sent    *common.KeyValue
		nothing bool
		want    []string
	}{
		"right":               {},
		"a wrong cost":        {change: func(r *recorded) { r.Cost = 8 }, want: []string{"cost is 8 nano-USD, not 7"}},
		"a lost count":        {change: func(r *recorded) { r.Tokens.CacheRead = 0 }, sent: text("u", `{"cached":431}`), want: []string{"cache_read is 0, not 431 (it is in u)"}},
		"a count not sent":    {change: func(r *recorded) { r.Tokens.CacheRead = 0 }, want: []string{"cache_read is 0, not 431 (the export does not have it)"}},
		"declared":            {change: func(r *recorded) { r.Tokens.CacheRead = 0 }, notSent: []string{"cache_read"}},
		"declared, yet sent":  {change: func(r *recorded) { r.Tokens.CacheRead = 0 }, notSent: []string{"cache_read"}, sent: text("u", "431"), want: []string{"cache_read is declared as not sent, and is in u"}},
		"only asked":          {change: func(r *recorded) { r.Tokens.CacheRead = 0 }, notSent: []string{"cache_read"}, sent: text("input.value", "431")},
		"part of a number":    {change: func(r *recorded) { r.Tokens.CacheRead = 0 }, notSent: []string{"cache_read"}, sent: text("u", "0.431 4310")},
		"declared, yet there": {notSent: []string{"cache_read"}, want: []string{"cache_read is declared as not sent, and is recorded: 431"}},
		"a doubled request":   {change: func(r *recorded) { r.Requests = 2 }, want: []string{"requests is 2, not 1"}},
		"no spans":            {nothing: true, want: []string{"nothing was exported"}},
		"no spans, declared":  {nothing: true, notSent: []string{"spans"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := scenario{name: "chat", NotSent: tt.notSent}
			s.complete()
			got := right
			if tt.change != nil {
				tt.change(&got)
			}
			span := &trace.Span{TraceId: []byte{1}, SpanId: []byte{2}}
			if tt.sent != nil {
				span.Attributes = append(span.Attributes, tt.sent)
			}
			seen := &observed{truth: truth, outcome: "ok"}
			if !tt.nothing {
				seen.exports = []export{{status: 200, request: &collector.ExportTraceServiceRequest{
					ResourceSpans: []*trace.ResourceSpans{{ScopeSpans: []*trace.ScopeSpans{{Spans: []*trace.Span{span}}}}},
				}}}
			}
			if faults := s.faults(got, seen); !slices.Equal(faults, tt.want) {
				t.Errorf("got %q, want %q", faults, tt.want)
			}
		})
	}
}
