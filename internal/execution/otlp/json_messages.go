package otlp

import (
	collectorpb "go.opentelemetry.io/proto/slim/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/slim/otlp/common/v1"
	resourcepb "go.opentelemetry.io/proto/slim/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/slim/otlp/trace/v1"
)

// The fields that are read of a JSON export: the protocol's messages without the unused fields. ProtoJSON cannot
// replace these types, since it decodes ids as base64, in which nearly every hexadecimal id is valid but means another
// id.
type (
	exportJSON struct {
		ResourceSpans []resourceSpansJSON `json:"resourceSpans"`
	}
	resourceSpansJSON struct {
		Resource   attributesJSON   `json:"resource"`
		ScopeSpans []scopeSpansJSON `json:"scopeSpans"`
	}
	scopeSpansJSON struct {
		Scope struct {
			Name string `json:"name"`
			attributesJSON
		} `json:"scope"`
		Spans []spanJSON `json:"spans"`
	}
	attributesJSON struct {
		Attributes []keyValueJSON `json:"attributes"`
	}
	spanJSON struct {
		TraceID      hexID          `json:"traceId"`
		SpanID       hexID          `json:"spanId"`
		ParentSpanID hexID          `json:"parentSpanId"`
		Name         string         `json:"name"`
		Start        nanos          `json:"startTimeUnixNano"`
		End          nanos          `json:"endTimeUnixNano"`
		Attributes   []keyValueJSON `json:"attributes"`
		Events       []eventJSON    `json:"events"`
		Status       struct {
			Message string     `json:"message"`
			Code    statusCode `json:"code"`
		} `json:"status"`
	}
	eventJSON struct {
		Time       nanos          `json:"timeUnixNano"`
		Name       string         `json:"name"`
		Attributes []keyValueJSON `json:"attributes"`
	}
	keyValueJSON struct {
		Key   string       `json:"key"`
		Value anyValueJSON `json:"value"`
	}
	anyValueJSON struct {
		String *string  `json:"stringValue"`
		Bool   *bool    `json:"boolValue"`
		Int    *integer `json:"intValue"`
		Double *double  `json:"doubleValue"`
		Bytes  *[]byte  `json:"bytesValue"` // in base64, as in ProtoJSON
		Array  *struct {
			Values []anyValueJSON `json:"values"`
		} `json:"arrayValue"`
		List *struct {
			Values []keyValueJSON `json:"values"`
		} `json:"kvlistValue"`
	}
)

func (e exportJSON) proto() *collectorpb.ExportTraceServiceRequest {
	request := &collectorpb.ExportTraceServiceRequest{}
	for _, resource := range e.ResourceSpans {
		ofResource := &tracepb.ResourceSpans{Resource: &resourcepb.Resource{Attributes: pairs(resource.Resource.Attributes)}}
		for _, scope := range resource.ScopeSpans {
			ofScope := &tracepb.ScopeSpans{Scope: &commonpb.InstrumentationScope{Name: scope.Scope.Name, Attributes: pairs(scope.Scope.Attributes)}}
			for i := range scope.Spans {
				ofScope.Spans = append(ofScope.Spans, scope.Spans[i].proto())
			}
			ofResource.ScopeSpans = append(ofResource.ScopeSpans, ofScope)
		}
		request.ResourceSpans = append(request.ResourceSpans, ofResource)
	}
	return request
}

func (s *spanJSON) proto() *tracepb.Span {
	span := &tracepb.Span{
		TraceId: s.TraceID, SpanId: s.SpanID, ParentSpanId: s.ParentSpanID,
		Name:              s.Name,
		StartTimeUnixNano: uint64(s.Start), EndTimeUnixNano: uint64(s.End),
		Attributes: pairs(s.Attributes),
		Status:     &tracepb.Status{Message: s.Status.Message, Code: tracepb.Status_StatusCode(s.Status.Code)},
	}
	for _, event := range s.Events {
		span.Events = append(span.Events, &tracepb.Span_Event{TimeUnixNano: uint64(event.Time), Name: event.Name, Attributes: pairs(event.Attributes)})
	}
	return span
}

func pairs(given []keyValueJSON) []*commonpb.KeyValue {
	list := make([]*commonpb.KeyValue, 0, len(given))
	for i := range given {
		list = append(list, &commonpb.KeyValue{Key: given[i].Key, Value: given[i].Value.proto()})
	}
	return list
}

func (v *anyValueJSON) proto() *commonpb.AnyValue {
	switch {
	case v.String != nil:
		return &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: *v.String}}
	case v.Bool != nil:
		return &commonpb.AnyValue{Value: &commonpb.AnyValue_BoolValue{BoolValue: *v.Bool}}
	case v.Int != nil && v.Int.beyond != 0:
		return &commonpb.AnyValue{Value: &commonpb.AnyValue_DoubleValue{DoubleValue: v.Int.beyond}}
	case v.Int != nil:
		return &commonpb.AnyValue{Value: &commonpb.AnyValue_IntValue{IntValue: v.Int.whole}}
	case v.Double != nil:
		return &commonpb.AnyValue{Value: &commonpb.AnyValue_DoubleValue{DoubleValue: float64(*v.Double)}}
	case v.Bytes != nil:
		return &commonpb.AnyValue{Value: &commonpb.AnyValue_BytesValue{BytesValue: *v.Bytes}}
	case v.Array != nil:
		array := &commonpb.ArrayValue{}
		for i := range v.Array.Values {
			array.Values = append(array.Values, v.Array.Values[i].proto())
		}
		return &commonpb.AnyValue{Value: &commonpb.AnyValue_ArrayValue{ArrayValue: array}}
	case v.List != nil:
		return &commonpb.AnyValue{Value: &commonpb.AnyValue_KvlistValue{KvlistValue: &commonpb.KeyValueList{Values: pairs(v.List.Values)}}}
	}
	return &commonpb.AnyValue{}
}
