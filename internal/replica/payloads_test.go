package replica_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/watchbill/watchbill/internal/replica"
	"github.com/watchbill/watchbill/internal/testkit/postgrestest"
)

// stored is an execution in the database.
type stored struct {
	output *string
	tokens int64
	cost   *int64
}

// storedOf reads the executions of all users.
func storedOf(t testing.TB, conn *pgx.Conn) map[string]stored {
	t.Helper()
	rows, err := conn.Query(t.Context(), "SELECT user_id, output_json::jsonb::text, tokens_used, cost_nano_usd FROM agent_executions")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]stored{}
	var user string
	var one stored
	_, err = pgx.ForEachRow(rows, []any{&user, &one.output, &one.tokens, &one.cost}, func() error {
		all[user] = one
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// spoil replaces each ¿ by bytes that are not UTF-8, which no encoder writes.
func spoil(body []byte) []byte { return bytes.ReplaceAll(body, []byte("¿"), []byte("\xff\xff")) }

func (n *node) post(t *testing.T, path, mediaType string, body []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, n.url+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+ingestToken)
	r.Header.Set("Content-Type", mediaType)
	resp, err := n.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode/100 != 2 || bytes.Contains(answer, []byte(`"rejected":[{`)) || bytes.Contains(answer, []byte("rejectedSpans")) {
		t.Errorf("%s answered %d %s, %v", path, resp.StatusCode, answer, err)
	}
}

// spanOf returns the span of a user's model call, without content.
func spanOf(id byte, user string) *tracepb.Span {
	text := func(name, value string) *commonpb.KeyValue {
		return &commonpb.KeyValue{Key: name, Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: value}}}
	}
	count := func(name string, n int64) *commonpb.KeyValue {
		return &commonpb.KeyValue{Key: name, Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_IntValue{IntValue: n}}}
	}
	now := uint64(time.Now().UnixNano())
	return &tracepb.Span{
		TraceId: bytes.Repeat([]byte{id}, 16), SpanId: bytes.Repeat([]byte{id}, 8), Name: "chat gpt-4o", StartTimeUnixNano: now - 1e9, EndTimeUnixNano: now,
		Attributes: []*commonpb.KeyValue{
			text("gen_ai.operation.name", "chat"), text("gen_ai.provider.name", "openai"), text("gen_ai.request.model", "gpt-4o"), text("user.id", user),
			count("gen_ai.usage.input_tokens", 100), count("gen_ai.usage.output_tokens", 10),
		},
	}
}

func stringAttribute(name, value string) *commonpb.KeyValue {
	return &commonpb.KeyValue{Key: name, Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: value}}}
}

func (n *node) export(t *testing.T, span *tracepb.Span) {
	t.Helper()
	body, err := proto.Marshal(&coltracepb.ExportTraceServiceRequest{ResourceSpans: []*tracepb.ResourceSpans{{ScopeSpans: []*tracepb.ScopeSpans{{Spans: []*tracepb.Span{span}}}}}})
	if err != nil {
		t.Fatal(err)
	}
	n.post(t, "/v1/traces", "application/x-protobuf", spoil(body))
}

// exportJSON sends a span in JSON, with ids in hexadecimal, as exporters do.
func (n *node) exportJSON(t *testing.T, span *tracepb.Span) {
	t.Helper()
	var attributes []string
	for _, a := range span.GetAttributes() {
		value := fmt.Sprintf(`{"intValue":"%d"}`, a.GetValue().GetIntValue())
		if text, ok := a.GetValue().GetValue().(*commonpb.AnyValue_StringValue); ok {
			value = fmt.Sprintf(`{"stringValue":%s}`, quoted(t, text.StringValue))
		}
		attributes = append(attributes, fmt.Sprintf(`{"key":%q,"value":%s}`, a.GetKey(), value))
	}
	n.post(t, "/v1/traces", "application/json", spoil(fmt.Appendf(nil,
		`{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":%q,"spanId":%q,"name":%q,"startTimeUnixNano":"%d","endTimeUnixNano":"%d","attributes":[%s]}]}]}]}`,
		hex.EncodeToString(span.GetTraceId()), hex.EncodeToString(span.GetSpanId()), span.GetName(), span.GetStartTimeUnixNano(), span.GetEndTimeUnixNano(),
		strings.Join(attributes, ","))))
}

func quoted(t *testing.T, text string) string {
	t.Helper()
	quoted, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	return string(quoted)
}

// TestUnusualPayloadsThroughEveryAPI sends payloads that cannot be stored unchanged by every way. The stored rows and
// costs must be the same.
func TestUnusualPayloadsThroughEveryAPI(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 70_000)
	payloads := []struct{ name, payload, want string }{
		{"plain", `["a", 1, null, {"b": 1.50}]`, `["a", 1, null, {"b": 1.50}]`},
		{"empty", `[]`, `[]`},
		{"an empty text", `[""]`, `[""]`},
		{"half a surrogate pair", `["Great \ud83d"]`, `["Great ` + "\uFFFD" + `"]`},
		{"NUL", `["a\u0000b", {"\u0000": 1}]`, `["a` + "\uFFFD" + `b", {"` + "\uFFFD" + `": 1}]`},
		{"bytes that are not UTF-8", `["a¿b"]`, `["a` + "\uFFFD\uFFFD" + `b"]`},
		{"a name twice", `[{"a": 1, "b": 2, "a": 3}]`, `[{"a": 3, "b": 2}]`},
		{"a number out of range", `[1e999, -1E400, 2]`, `["1e999", "-1E400", 2]`},
		{"digits", `[` + strings.Repeat("1", 400) + `]`, `["` + strings.Repeat("1", 400) + `"]`},
		{"nested too deep", strings.Repeat("[", 70) + strings.Repeat("]", 70), `"` + strings.Repeat("[", 70) + strings.Repeat("]", 70) + `"`},
		{"too large", `["` + long + `"]`, `{"head": "[\"` + long[:65_459] + `", "bytes": 70004, "truncated": true}`},
	}
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var asked struct {
			Message string `json:"message"`
		}
		if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
			t.Error(err)
		}
		i, err := strconv.Atoi(asked.Message)
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(spoil([]byte(payloads[i].payload)))
	}))
	t.Cleanup(upstream.Close)
	dir := t.TempDir()
	agents := filepath.Join(dir, "agents.yaml")
	if err := os.WriteFile(agents, []byte("agents: [{name: a, types: ['*'], kind: http, http: {url: '"+upstream.URL+"'}}]"), 0o600); err != nil {
		t.Fatal(err)
	}
	database := postgrestest.NewDatabase(t)
	n := start(t, database, func(c *replica.Config) {
		c.IngestToken, c.Executions.AgentsFile, c.Executions.SpoolDir = ingestToken, agents, filepath.Join(dir, "spool")
	})
	ways := []struct {
		name  string
		send  func(t *testing.T, id byte, user, payload string)
		wraps string // stored around the payload
		free  bool   // no tokens are reported
	}{
		{name: "REST", send: func(t *testing.T, _ byte, user, payload string) {
			n.post(t, "/api/executions", "application/json", spoil(fmt.Appendf(nil,
				`{"user_id":%q,"agent_name":"a","kind":"inference","status":"success","model_used":"gpt-4o","provider":"openai","input_tokens":100,"output_tokens":10,"output_data":%s}`,
				user, payload)))
		}},
		{name: "OTLP in protobuf", send: func(t *testing.T, id byte, user, payload string) {
			span := spanOf(id, user)
			span.Attributes = append(span.Attributes, stringAttribute("gen_ai.output.messages", payload))
			n.export(t, span)
		}},
		{name: "OTLP in JSON", send: func(t *testing.T, id byte, user, payload string) {
			span := spanOf(id, user)
			span.Attributes = append(span.Attributes, stringAttribute("gen_ai.output.messages", payload))
			n.exportJSON(t, span)
		}},
		{name: "an event", wraps: `[{"role": "assistant", "content": %s}]`, send: func(t *testing.T, id byte, user, payload string) {
			span := spanOf(id, user)
			span.Events = append(span.Events, &tracepb.Span_Event{Name: "gen_ai.choice", Attributes: []*commonpb.KeyValue{stringAttribute("content", payload)}})
			n.export(t, span)
		}},
		{name: "a log record", send: func(t *testing.T, id byte, user, payload string) {
			span := spanOf(id, user)
			n.export(t, span)
			n.post(t, "/v1/logs", "application/json", spoil(fmt.Appendf(nil,
				`{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"eventName":"gen_ai.client.inference.operation.details","traceId":%q,"spanId":%q,"timeUnixNano":"%d","attributes":[{"key":"gen_ai.output.messages","value":{"stringValue":%s}}]}]}]}]}`,
				hex.EncodeToString(span.GetTraceId()), hex.EncodeToString(span.GetSpanId()), span.GetEndTimeUnixNano(), quoted(t, payload))))
		}},
		{name: "the gateway", free: true, send: func(t *testing.T, id byte, user, _ string) {
			got := n.do(http.MethodPost, "/api/ai/process-stream", ingestToken, map[string]any{"type": "x", "user_id": user, "message": strconv.Itoa(int(id) % len(payloads))})
			if !bytes.Contains(got.body, []byte("event: completed\n")) {
				t.Errorf("run: %d %.300s", got.status, got.body)
			}
		}},
	}
	userOf := func(way, payload int) string { return fmt.Sprintf("user-%d-%d", way, payload) }
	for w, way := range ways {
		for p, payload := range payloads {
			way.send(t, byte(1+w)*byte(len(payloads))+byte(p), userOf(w, p), payload.payload)
		}
	}
	conn, err := pgx.Connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	if _, err := conn.Exec(t.Context(), "SET ROLE watchbill_admin"); err != nil { // other roles see no rows
		t.Fatal(err)
	}
	var all map[string]stored
	complete := func() bool {
		all = storedOf(t, conn)
		for _, one := range all {
			if one.output == nil {
				return false
			}
		}
		return len(all) == len(ways)*len(payloads)
	}
	deadline := time.NewTimer(60 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for late := false; !late && !complete(); {
		select {
		case <-deadline.C:
			late = true // missing rows are reported below
		case <-tick.C:
		}
	}
	for w, way := range ways {
		for p, payload := range payloads {
			got, found := all[userOf(w, p)]
			if !found || got.output == nil {
				t.Errorf("%s by %s: got %+v, %t", payload.name, way.name, got, found)
				continue
			}
			want, ok := payload.want, false
			switch {
			case way.wraps != "" && payload.name == "too large": // the head begins with the wrapping
				ok = strings.Contains(*got.output, `"truncated": true`)
			case way.wraps != "":
				want = fmt.Sprintf(way.wraps, want)
				fallthrough
			default:
				ok = *got.output == want
			}
			if !ok {
				t.Errorf("%s by %s: want %.300s\ngot %.300s", payload.name, way.name, want, *got.output)
			}
			if !way.free && (got.tokens != 110 || got.cost == nil || *got.cost != 350_000) {
				t.Errorf("%s by %s: want 110 tokens for $0.00035, got %d for %v", payload.name, way.name, got.tokens, got.cost)
			}
		}
	}
}
