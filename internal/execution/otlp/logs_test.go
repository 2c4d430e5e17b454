package otlp_test

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"testing"

	collectorlogspb "go.opentelemetry.io/proto/slim/otlp/collector/logs/v1"
	commonpb "go.opentelemetry.io/proto/slim/otlp/common/v1"
	logspb "go.opentelemetry.io/proto/slim/otlp/logs/v1"
	"google.golang.org/protobuf/proto"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/execution/otlp"
)

type keptContents struct{ all []execution.Content }

func (k *keptContents) Keep(_ context.Context, contents []execution.Content) (int, error) {
	k.all = append(k.all, contents...)
	return 0, nil
}

func text(s string) *commonpb.AnyValue {
	return &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: s}}
}

func members(pairs ...string) []*commonpb.KeyValue {
	var all []*commonpb.KeyValue
	for i := 0; i < len(pairs); i += 2 {
		all = append(all, &commonpb.KeyValue{Key: pairs[i], Value: text(pairs[i+1])})
	}
	return all
}

func kvlist(pairs ...string) *commonpb.AnyValue {
	return &commonpb.AnyValue{Value: &commonpb.AnyValue_KvlistValue{KvlistValue: &commonpb.KeyValueList{Values: members(pairs...)}}}
}

func TestLogRecords(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		record        *logspb.LogRecord
		input, output string
		says          string
	}{
		"details": {
			record: &logspb.LogRecord{EventName: "gen_ai.client.inference.operation.details", Attributes: members(
				"gen_ai.input.messages", `[{"role":"user"}]`, "gen_ai.output.messages", `[{"role":"assistant"}]`)},
			input: `[{"role":"user"}]`, output: `[{"role":"assistant"}]`,
		},
		"details with instructions, named by an attribute": {
			record: &logspb.LogRecord{Attributes: members("event.name", "gen_ai.client.inference.operation.details",
				"gen_ai.system_instructions", `["be brief"]`, "gen_ai.input.messages", `[{"role":"user"}]`)},
			input: `[{"role":"system","parts":["be brief"]},{"role":"user"}]`,
		},
		"a user's message": {
			record: &logspb.LogRecord{EventName: "gen_ai.user.message", Attributes: members("gen_ai.system", "openai"), Body: kvlist("content", "hi")},
			input:  `{"content":"hi","role":"user"}`,
		},
		"a choice": {
			record: &logspb.LogRecord{EventName: "gen_ai.choice", Body: kvlist("message", "ho")}, output: `{"message":"ho","role":"assistant"}`,
		},
		"a message that is a text": {record: &logspb.LogRecord{EventName: "gen_ai.system.message", Body: text("be kind")}, input: `{"content":"be kind","role":"system"}`},
		"a line of a log":          {record: &logspb.LogRecord{Body: text("GET /")}, says: "1 log records are not generative AI events"},
		"an evaluation":            {record: &logspb.LogRecord{EventName: "gen_ai.evaluation.result"}, says: "1 log records are not generative AI events"},
		"content without a span": {
			record: &logspb.LogRecord{EventName: "gen_ai.user.message", Body: text("hi"), SpanId: make([]byte, 8)}, says: "1 log records name no trace and span",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tt.record.SpanId == nil {
				tt.record.TraceId, tt.record.SpanId = bytes.Repeat([]byte{1}, 16), bytes.Repeat([]byte{2}, 8)
			}
			body, err := proto.Marshal(&collectorlogspb.ExportLogsServiceRequest{ResourceLogs: []*logspb.ResourceLogs{
				{ScopeLogs: []*logspb.ScopeLogs{{LogRecords: []*logspb.LogRecord{tt.record}}}},
			}})
			if err != nil {
				t.Fatal(err)
			}
			kept := &keptContents{}
			status, _, answer := otlp.NewLogs(kept, otlp.Options{}).Export(t.Context(), headerOf(protobufType), bytes.NewReader(body))
			response := &collectorlogspb.ExportLogsServiceResponse{}
			if err := proto.Unmarshal(answer, response); err != nil || status != http.StatusOK {
				t.Fatal(status, err)
			}
			if got := response.GetPartialSuccess().GetErrorMessage(); !strings.Contains(got, tt.says) || (got == "") != (tt.says == "") {
				t.Errorf("partial success says %q", got)
			}
			if tt.says != "" {
				if len(kept.all) != 0 {
					t.Errorf("kept %v", kept.all)
				}
				return
			}
			if len(kept.all) != 1 || string(kept.all[0].Input) != tt.input || string(kept.all[0].Output) != tt.output {
				t.Errorf("kept %+v", kept.all)
			}
		})
	}
}

func TestLogsInJSON(t *testing.T) {
	t.Parallel()
	kept := &keptContents{}
	const record = `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"1","eventName":"gen_ai.choice","traceId":"0af7651916cd43dd8448eb211c80319c",
		"spanId":"b7ad6b7169203331","body":{"stringValue":"ho"}},{"body":{"stringValue":"GET /"}}]}]}]}`
	status, _, answer := otlp.NewLogs(kept, otlp.Options{}).Export(t.Context(), headerOf(jsonType), strings.NewReader(record))
	if status != http.StatusOK || !strings.Contains(string(answer), `"rejectedLogRecords":"0"`) {
		t.Fatal(status, string(answer))
	}
	if len(kept.all) != 1 || kept.all[0].TraceID != traceID || string(kept.all[0].Output) != `{"content":"ho","role":"assistant"}` {
		t.Errorf("kept %+v", kept.all)
	}
}

func FuzzLogs(f *testing.F) {
	f.Add(protobufType, []byte("\x0a\x00"))
	f.Add(jsonType, []byte(`{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"eventName":"gen_ai.choice","body":{"stringValue":"ho"}}]}]}]}`))
	f.Fuzz(func(t *testing.T, contentType string, body []byte) {
		status, _, _ := otlp.NewLogs(&keptContents{}, otlp.Options{}).Export(t.Context(), headerOf(contentType), bytes.NewReader(body))
		if status >= http.StatusInternalServerError {
			t.Errorf("answered %d", status)
		}
	})
}
