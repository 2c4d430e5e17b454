package otlp_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/watchbill/watchbill/internal/execution"
)

// TestJSON checks what differs between OTLP's JSON and ProtoJSON, and variants that exporters send.
func TestJSON(t *testing.T) {
	t.Parallel()
	const span = `{"resourceSpans":[{"resource":{"attributes":[{"key":"user.id","value":{"stringValue":"ada"}}]},"scopeSpans":[{"spans":[{` +
		`"traceId":"0AF7651916CD43DD8448EB211C80319C","spanId":"00f067aa0ba902b7","parentSpanId":"","name":"chat gpt-5","kind":3,` +
		`"startTimeUnixNano":%s,"endTimeUnixNano":%s,"status":{"code":%s},` +
		`"attributes":[{"key":"gen_ai.operation.name","value":{"stringValue":"chat"}},{"key":"gen_ai.usage.input_tokens","value":%s}]%s}]}]}]}`
	start := fmt.Sprint(noon.UnixNano())
	type fields struct{ start, end, code, tokens, more string }
	for name, tt := range map[string]struct {
		change func(*fields)
		status execution.Status
		tokens int64
		bad    string
	}{
		"as it should be":            {status: execution.Success, tokens: 7},
		"numbers for texts":          {change: func(f *fields) { f.start, f.end, f.tokens = start, start, `{"intValue":7}` }, tokens: 7},
		"numbers that look broken":   {change: func(f *fields) { f.tokens = `{"intValue":7.0}` }, tokens: 7},
		"numbers with an exponent":   {change: func(f *fields) { f.tokens = `{"intValue":"7e0"}` }, tokens: 7},
		"a double for a count":       {change: func(f *fields) { f.tokens = `{"doubleValue":7}` }, tokens: 7},
		"a double as a text":         {change: func(f *fields) { f.tokens = `{"doubleValue":"7"}` }, tokens: 7},
		"NaN as a text":              {change: func(f *fields) { f.tokens = `{"doubleValue":"NaN"}` }},
		"infinity as a text":         {change: func(f *fields) { f.tokens = `{"doubleValue":"Infinity"}` }, bad: "gen_ai.usage.input_tokens"},
		"an int64 that overflows":    {change: func(f *fields) { f.tokens = `{"intValue":"99999999999999999999"}` }, bad: "gen_ai.usage.input_tokens"},
		"one that does so downwards": {change: func(f *fields) { f.tokens = `{"intValue":-99999999999999999999}` }, bad: "gen_ai.usage.input_tokens"},
		"a count that is null":       {change: func(f *fields) { f.tokens = `null` }},
		"a value that is null":       {change: func(f *fields) { f.tokens = `{"intValue":null}` }},
		"a value of no known type":   {change: func(f *fields) { f.tokens = `{"imaginaryValue":"7i"}` }},
		"an error":                   {change: func(f *fields) { f.code = "2" }, status: execution.Failure, tokens: 7},
		"an error by its name":       {change: func(f *fields) { f.code = `"STATUS_CODE_ERROR"` }, status: execution.Failure, tokens: 7},
		"a status of the future":     {change: func(f *fields) { f.code = "77" }, tokens: 7},
		"fields of the future": {change: func(f *fields) {
			f.more = `,"mood":{"traceId":"no hexadecimal"},"flags":257,"links":[{"traceId":"00"}],"trace_id":"00"`
		}, tokens: 7},
		"year 1":                 {change: func(f *fields) { f.start = `"-62135596800000000000"` }, bad: "start_time_unix_nano is longer ago"},
		"year 9999":              {change: func(f *fields) { f.start = `"253402300799000000000"` }, bad: "start_time_unix_nano is more than 10m in the future"},
		"year 9999, as a number": {change: func(f *fields) { f.start = `253402300799000000000` }, bad: "start_time_unix_nano is more than 10m in the future"},
		"no time":                {change: func(f *fields) { f.start = `null` }, bad: "start_time_unix_nano is longer ago"},
		"broken UTF-8":           {change: func(f *fields) { f.more = ",\"attributes2\":\"\xff\"" }, tokens: 7},
		"a NUL":                  {change: func(f *fields) { f.more = `,"events":[{"name":"a\u0000b","attributes":[{"key":"\u0000"}]}]` }, tokens: 7},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := fields{start: `"` + start + `"`, end: `"` + start + `"`, code: "1", tokens: `{"intValue":"7"}`}
			if tt.change != nil {
				tt.change(&f)
			}
			l := &ledger{}
			partial := post(t, l, headerOf(jsonType), fmt.Appendf(nil, span, f.start, f.end, f.code, f.tokens, f.more)).partial(t)
			if tt.bad != "" {
				if !strings.HasPrefix(partial.GetErrorMessage(), "span 00f067aa0ba902b7: "+tt.bad) {
					t.Errorf("rejected with %q", partial.GetErrorMessage())
				}
				return
			}
			if partial != nil || len(l.batch.Executions) != 1 {
				t.Fatal(partial.GetErrorMessage())
			}
			got := l.batch.Executions[0]
			if got.ID != traceID+"-00f067aa0ba902b7" || got.UserID != "ada" || got.ParentSpanID != "" {
				t.Errorf("%+v", got)
			}
			if tt.status == "" {
				tt.status = execution.Success
			}
			if got.Tokens.Used != tt.tokens || got.Status != tt.status {
				t.Errorf("%d tokens, %s", got.Tokens.Used, got.Status)
			}
		})
	}
}

// TestNullMessages checks that null elements count as messages: they are as large in memory as empty ones, and
// shorter on the wire.
func TestNullMessages(t *testing.T) {
	t.Parallel()
	nulls := strings.TrimSuffix(strings.Repeat("null,", 500_000), ",")
	for _, around := range []string{
		`{"resourceSpans":[%s]}`,
		`{"resourceSpans":[{"resource":{"attributes":[%s]}}]}`,
		`{"resourceSpans":[{"resource":{"attributes":[{"key":"a","value":{"arrayValue":{"values":[%s]}}}]}}]}`,
	} {
		if got := post(t, &ledger{}, headerOf(jsonType), fmt.Appendf(nil, around, nulls)); got.status != 413 {
			t.Errorf("%s with 500,000 of them: got %d", around, got.status)
		}
		if got := post(t, &ledger{}, headerOf(jsonType), fmt.Appendf(nil, around, "null,null")); got.status != 200 {
			t.Errorf("%s with two of them: got %d: %s", around, got.status, got.body)
		}
	}
}
