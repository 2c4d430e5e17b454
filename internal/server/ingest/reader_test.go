package ingest

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/testkit/badexecutions"
)

// Every accepted execution can be stored, every rejected one gets a complete fault, and scanning agrees with decoding.
func FuzzExecutions(f *testing.F) {
	for _, tt := range badexecutions.All(time.Now()) {
		if len(tt.Raw) < 10_000 {
			f.Add([]byte(tt.Raw))
		}
	}
	for _, seed := range []string{
		`{"executions":[{"user_id":"u","agent_name":"a","status":"success","input_data":{"a":[1,2.5e10,null,true,"x\\u0000"]}}, 7]}`,
		`{"execution_id":"e","created_at":"2026-01-01T00:00:00.123456789+05:30","user_id":"u","execution_time_ms":1e3,"tokens_used":-0}`,
		"{\"user_id\":\"u\"}\n\n[]\r\n{}{}", `{"executions":[],"executions":1}`, `{"a":1,"executions":[{}]}`, "{\"\xff\":1}", `{"user_id":"u","agent_name":"a","status":"success","input_data":{"a":"\ud83d","a":1e999}}`, `{"input_data":"\\\"\u0000"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, split := range []func([]byte) ([][]byte, error){splitExecutions, splitLines} {
			found, err := split(body)
			var p *openapi.Problem
			if err != nil && (!errors.As(err, &p) || p.Status < 400 || p.Code == "" || p.Detail == "" || !utf8.ValidString(p.Field+p.Detail)) {
				t.Fatalf("refused as %#v", err)
			}
			reader := newExecutionReader()
			for _, raw := range found {
				checkRead(t, reader, raw)
			}
		}
		checkScan(t, body)
	})
}

// readOne reads an execution with a new reader.
func readOne(raw []byte) (e execution.Execution, fault *execution.Fault) {
	fault = newExecutionReader().read(raw, &e)
	return e, fault
}

func checkRead(t *testing.T, reader *executionReader, raw []byte) {
	t.Helper()
	before := bytes.Clone(raw)
	var e execution.Execution
	fault := reader.read(raw, &e)
	if !bytes.Equal(raw, before) {
		t.Fatalf("%q was changed to %q", before, raw)
	}
	if fault != nil {
		if fault.Code == "" || fault.Detail == "" || strings.Contains(fault.Detail, "cannot be read") || !utf8.ValidString(fault.Field+fault.Detail) || len(fault.Field) > 210 {
			t.Fatalf("%q is refused as %+v", raw, fault)
		}
		return
	}
	var decoded execution.Execution
	if fault := reader.decode(raw, &decoded); fault != nil || !reflect.DeepEqual(decoded, e) {
		t.Fatalf("%q is read as %+v, and by a decoder as %+v, %v", raw, e, decoded, fault)
	}
	kept := e
	if fault := (execution.PayloadPolicy{}).Apply(&kept); fault != nil || !json.Valid(raw) {
		t.Fatalf("%q is accepted: %v", raw, fault)
	}
	for _, s := range []string{
		e.ID, e.UserID, e.SessionID, e.RequestID, e.AgentName, string(e.Kind), e.Model, e.Provider, string(e.Status), e.ErrorMessage, e.TraceID, e.Variant,
	} {
		if strings.ContainsRune(s, 0) || !utf8.ValidString(s) {
			t.Fatalf("%q: %q cannot be stored", raw, s)
		}
	}
	if e.Duration < 0 || e.Duration > execution.MaxDuration || e.Duration%time.Microsecond != 0 || e.CreatedAt.Nanosecond()%1000 != 0 {
		t.Fatalf("%q took %v, and began %v", raw, e.Duration, e.CreatedAt)
	}
}

// checkScan fails the test unless scanning a body, if possible, yields the same executions and faults as decoding it.
func checkScan(t *testing.T, body []byte) {
	t.Helper()
	in := intake{reader: newExecutionReader()}
	if !in.scan(body) {
		return
	}
	found, err := splitExecutions(body)
	if err != nil || len(found) != in.came {
		t.Fatalf("%q: %d executions are scanned, %d split: %v", body, in.came, len(found), err)
	}
	var executions []execution.Execution
	var rejected []execution.Rejection
	var indexes []int
	for i, raw := range found {
		var e execution.Execution
		if fault := in.reader.decode(raw, &e); fault != nil {
			rejected = append(rejected, execution.Rejection{Index: i, Fault: *fault})
			continue
		}
		executions, indexes = append(executions, e), append(indexes, i)
	}
	if diff := cmp.Diff(executions, in.batch.Executions, cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("%q (-decoded +scanned):\n%s", body, diff)
	}
	if diff := cmp.Diff([]any{rejected, indexes}, []any{in.rejected, in.indexes}); diff != "" {
		t.Fatalf("%q (-decoded +scanned):\n%s", body, diff)
	}
}

// Every execution with a span id that can be stored has a span in the batch.
func TestSpansBecomeExecutions(t *testing.T) {
	t.Parallel()
	const span = `{"user_id":"u","agent_name":"a","status":"success","trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","span_id":"00f067aa0ba902b%d"%s}`
	body := "[" + fmt.Sprintf(span, 1, "") + "," + fmt.Sprintf(span, 2, `,"input_tokens":10,"output_tokens":5`) + "," +
		fmt.Sprintf(span, 3, `,"input_tokens":-1`) + "," + fmt.Sprintf(span, 4, `,"tokens_used":4,"input_tokens":10,"output_tokens":5`) + "]"
	in, err := (&API{Options: Options{Now: time.Now, Random: rand.Reader}}).decodeExecutions([]byte(`{"executions":`+body+`}`), "application/json")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range in.batch.Spans {
		got = append(got, s.SpanID)
	}
	if diff := cmp.Diff([]string{"00f067aa0ba902b1", "00f067aa0ba902b2"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// batchOf returns a request body like a busy client's: n executions, each with some 600 bytes of input and output.
func batchOf(n int) []byte {
	begun := time.Now().UTC().Format(time.RFC3339Nano)
	list := make([]jsontext.Value, n)
	for i := range list {
		list[i] = jsontext.Value(fmt.Sprintf(`{"execution_id":"0197a1b2-7c3d-7e4f-8a5b-%012d","created_at":%q,"user_id":"user-%d","session_id":"session-%d",
			"agent_name":"main_orchestrator","input_data":{"messages":[{"role":"user","content":"Create flashcards about Python"}],"options":{"count":3,"temperature":0.7}},
			"output_data":{"flashcards":[{"q":"What is Python?","a":%q},{"q":"Who made it?","a":"Guido van Rossum"}]},
			"execution_time_ms":2500.125,"input_tokens":1000,"output_tokens":500,"model_used":"gpt-4o-mini","provider":"openai","status":"success",
			"trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","span_id":"00f067aa0ba902b7"}`, i, begun, i%17, i%5, strings.Repeat("A programming language. ", 20)))
	}
	body, _ := json.Marshal(map[string]any{"executions": list})
	return body
}

// BenchmarkExecutions measures decoding, checking and completing a batch of 100, before it is passed to the ledger.
func BenchmarkExecutions(b *testing.B) {
	const n = 100
	body := batchOf(n)
	a := &API{Options: Options{Now: time.Now}}
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		in, err := a.decodeExecutions(body, "application/json")
		if err != nil || len(in.batch.Executions) != n {
			b.Fatal(err, in.rejected)
		}
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "executions/s")
}
