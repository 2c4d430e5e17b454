package ingest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/execution"
)

// The usage of a call that broke off after only its input was reported is unknown, through every API.
func TestUsageOfInterruptedCall(t *testing.T) {
	t.Parallel()
	const object = `{"input_tokens":60,"cache_read_input_tokens":40}`
	want := accounted{Tokens: execution.Tokens{Input: 100, CacheRead: 40, Used: 100}, Usage: execution.UsageUnknown}
	for by, record := range map[string]func(*testing.T) execution.Execution{
		"REST": func(t *testing.T) execution.Execution {
			e, fault := readOne([]byte(`{"user_id":"u","agent_name":"a","status":"failure","kind":"inference","model_used":"m","usage":` + object + `}`))
			if fault != nil {
				t.Fatal(fault)
			}
			return e
		},
		"OTLP": func(t *testing.T) execution.Execution {
			quoted, err := json.Marshal(object)
			if err != nil {
				t.Fatal(err)
			}
			return exported(t, fmt.Appendf(nil, `{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"b7ad6b7169203331",
				"name":"chat","startTimeUnixNano":"1767225600000000000","endTimeUnixNano":"1767225601000000000","status":{"code":2},"attributes":[
				{"key":"gen_ai.operation.name","value":{"stringValue":"chat"}},{"key":"gen_ai.request.model","value":{"stringValue":"m"}},
				{"key":"acme.usage.raw","value":{"stringValue":%s}}]}]}]}]}`, quoted))
		},
		"the gateway": func(t *testing.T) execution.Execution {
			return ranAgainst(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream")
				_, _ = fmt.Fprintf(w, "data: {\"model\":\"m\",\"usage\":%s}\n\ndata: {\"text\":\"Mi\"}\n\nevent: error\ndata: overloaded\n\n", object)
			})
		},
	} {
		t.Run(by, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(want, accountOf(record(t))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
