package otlp_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	commonpb "go.opentelemetry.io/proto/slim/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/slim/otlp/trace/v1"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/watchbill/watchbill/internal/execution/otlp"
)

func differ(want, got any) string { return cmp.Diff(want, got) }

var chat = says{"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-5"}

func TestAcceptedRequests(t *testing.T) {
	t.Parallel()
	export := exportOf(newSpan(1, 0, chat))
	for contentType, encode := range encodings {
		body := encode(t, export)
		half := len(body) / 2
		for name, tt := range map[string]struct {
			contentType, coding string
			body                []byte
			executions          int
		}{
			"as it is":               {body: body, executions: 1},
			"with a charset":         {contentType: contentType + "; charset=utf-8", body: body, executions: 1},
			"in capital letters":     {contentType: strings.ToUpper(contentType), body: body, executions: 1},
			"with a broken charset":  {contentType: contentType + "; charset", body: body, executions: 1},
			"explicitly as it is":    {coding: "identity", body: body, executions: 1},
			"compressed":             {coding: "gzip", body: gzipped(t, body), executions: 1},
			"compressed, as GZIP":    {coding: "GZIP", body: gzipped(t, body), executions: 1},
			"compressed in two":      {coding: "gzip", body: append(gzipped(t, body[:half]), gzipped(t, body[half:])...), executions: 1},
			"compressed by zstd":     {coding: "zstd", body: zstded(t, body), executions: 1},
			"compressed by ZSTD":     {coding: "ZSTD", body: zstded(t, body), executions: 1},
			"zstd in two frames":     {coding: "zstd", body: append(zstded(t, body[:half]), zstded(t, body[half:])...), executions: 1},
			"nothing, by zstd":       {coding: "zstd", body: zstded(t, nil)},
			"nothing":                {},
			"nothing, compressed":    {coding: "gzip", body: gzipped(t, nil)},
			"spans that are no AI's": {body: encode(t, exportOf(newSpan(1, 0, says{"http.request.method": "GET"})))},
			"no spans":               {body: encode(t, exportOf())},
		} {
			t.Run(contentType+"/"+name, func(t *testing.T) {
				t.Parallel()
				header := headerOf(contentType)
				if tt.contentType != "" {
					header = headerOf(tt.contentType)
				}
				if tt.coding != "" {
					header.Set("Content-Encoding", tt.coding)
				}
				l := &ledger{}
				got := post(t, l, header, tt.body)
				if partial := got.partial(t); partial != nil {
					t.Errorf("partial success is set: %v", partial)
				}
				if got.mediaType != contentType {
					t.Errorf("the answer is %s", got.mediaType)
				}
				if len(l.batch.Executions) != tt.executions {
					t.Errorf("%d executions, not %d", len(l.batch.Executions), tt.executions)
				}
				if want := map[string]string{protobufType: "", jsonType: "{}"}[contentType]; string(got.body) != want {
					t.Errorf("the answer is %q, not %q", got.body, want)
				}
			})
		}
	}
}

func TestRejectedRequests(t *testing.T) {
	t.Parallel()
	protobuf, text := encodings[protobufType](t, exportOf(newSpan(1, 0, chat))), encodings[jsonType](t, exportOf(newSpan(1, 0, chat)))
	small := func(o *otlp.Options) { o.MaxBody, o.MaxDecompressed, o.MaxSpans = 1000, 2000, 3 }
	deep := any("x")
	for range 1000 {
		deep = []any{deep}
	}
	deepExport := exportOf(newSpan(1, 0, chat.with(says{"deep": deep})))
	for name, tt := range map[string]struct {
		contentType, coding string
		body                []byte
		status              int
		says                string // part of the message
	}{
		"no content type":              {body: protobuf, status: 415, says: `"" is not supported`},
		"another content type":         {contentType: "text/plain", body: text, status: 415, says: `"text/plain"`},
		"a content type that is none":  {contentType: "application/;json", body: text, status: 415, says: "application/x-protobuf or application/json"},
		"another content encoding":     {contentType: jsonType, coding: "br", body: text, status: 415, says: `"br" is not supported: send one of gzip, zstd and identity`},
		"two content encodings":        {contentType: jsonType, coding: "gzip, gzip", body: gzipped(t, gzipped(t, text)), status: 415, says: `"gzip, gzip"`},
		"gzip in zstd":                 {contentType: jsonType, coding: "gzip, zstd", body: zstded(t, gzipped(t, text)), status: 415, says: `"gzip, zstd" is not supported`},
		"no zstd":                      {contentType: jsonType, coding: "zstd", body: text, status: 400, says: "is not zstd"},
		"truncated zstd":               {contentType: jsonType, coding: "zstd", body: zstded(t, text)[:60], status: 400, says: "zstd ends early"},
		"zstd with a wrong sum":        {contentType: jsonType, coding: "zstd", body: flipped(zstded(t, text)), status: 400, says: "zstd is damaged"},
		"garbage after zstd":           {contentType: jsonType, coding: "zstd", body: append(zstded(t, text), "garbage, and more of it"...), status: 400, says: "not zstd"},
		"a zstd bomb":                  {contentType: jsonType, coding: "zstd", body: zstded(t, bytes.Repeat([]byte{' '}, 100_000)), status: 413, says: "decompresses to more than 2000 bytes"},
		"zstd with a large window":     {contentType: jsonType, coding: "zstd", body: []byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x80, 0x01, 0x00, 0x00}, status: 413, says: "window of more than 8388608 bytes"},
		"zstd that claims a terabyte":  {contentType: jsonType, coding: "zstd", body: []byte{0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 0, 1, 0, 0, 0x01, 0x00, 0x00}, status: 413, says: "bytes"},
		"no gzip":                      {contentType: jsonType, coding: "gzip", body: text, status: 400, says: "is not gzip"},
		"no bytes of gzip":             {contentType: jsonType, coding: "gzip", status: 400, says: "is not gzip"},
		"truncated gzip":               {contentType: jsonType, coding: "gzip", body: gzipped(t, text)[:60], status: 400, says: "gzip ends early"},
		"gzip without its end":         {contentType: protobufType, coding: "gzip", body: gzipped(t, protobuf)[:len(gzipped(t, protobuf))-3], status: 400, says: "gzip ends early"},
		"garbage after gzip":           {contentType: jsonType, coding: "gzip", body: append(gzipped(t, text), "garbage, and more of it"...), status: 400, says: "more data after"},
		"gzip with a wrong sum":        {contentType: jsonType, coding: "gzip", body: damaged(gzipped(t, text)), status: 400, says: "damaged"},
		"a gzip bomb":                  {contentType: jsonType, coding: "gzip", body: gzipped(t, bytes.Repeat([]byte{' '}, 100_000)), status: 413, says: "decompresses to more than 2000 bytes"},
		"too much":                     {contentType: jsonType, body: bytes.Repeat([]byte{' '}, 2001), status: 413, says: "more than 2000 bytes"},
		"too much, compressed":         {contentType: jsonType, coding: "gzip", body: make([]byte, 1001), status: 413, says: "more than 1000 bytes"},
		"too many spans":               {contentType: protobufType, body: encodings[protobufType](t, exportOf(make([]*tracepb.Span, 4)...)), status: 413, says: "more than 3 spans"},
		"too many spans in JSON":       {contentType: jsonType, body: []byte(`{"resourceSpans":[{"scopeSpans":[{"spans":[{},{},{},{}]}]}]}`), status: 413, says: "more than 3 spans"},
		"too many spans that are null": {contentType: jsonType, body: []byte(`{"resourceSpans":[{"scopeSpans":[{"spans":[null,null,null,null]}]}]}`), status: 413, says: "more than 3 spans"},
		"an attribute that is deep":    {contentType: protobufType, body: []byte("-"), status: 400, says: "nested too deep"},
		"one that is deep in JSON":     {contentType: jsonType, body: []byte("-"), status: 400, says: "nested too deep"},
		"no protobuf":                  {contentType: protobufType, body: []byte("hello"), status: 400, says: "not an ExportTraceServiceRequest in protobuf"},
		"JSON as protobuf":             {contentType: protobufType, body: text, status: 400, says: "not an ExportTraceServiceRequest in protobuf"},
		"truncated protobuf":           {contentType: protobufType, body: protobuf[:len(protobuf)-1], status: 400, says: "not an ExportTraceServiceRequest in protobuf"},
		"protobuf as JSON":             {contentType: jsonType, body: protobuf, status: 400, says: "not JSON"},
		"truncated JSON":               {contentType: jsonType, body: text[:len(text)-2], status: 400, says: "not JSON"},
		"a blank":                      {contentType: jsonType, body: []byte(" "), status: 400, says: "not JSON"},
		"two documents":                {contentType: jsonType, body: []byte("{}{}"), status: 400, says: "more after the JSON object"},
		"a list":                       {contentType: jsonType, body: []byte("[]"), status: 400, says: "must be a JSON object"},
		"null":                         {contentType: jsonType, body: []byte("null"), status: 400, says: "must be a JSON object"},
		"a field twice":                {contentType: jsonType, body: []byte(`{"resourceSpans":[],"resourceSpans":[]}`), status: 400, says: "/resourceSpans is duplicated"},
		"a field of another type":      {contentType: jsonType, body: []byte(`{"resourceSpans":{}}`), status: 400, says: "/resourceSpans must not be an object"},
		"NaN, not as a string":         {contentType: jsonType, body: inSpan(`"attributes":[{"key":"a","value":{"doubleValue":NaN}}]`), status: 400, says: "not JSON"},
		"an id in base64":              {contentType: jsonType, body: inSpan(`"traceId":"CvdlGRbNQ92ESOshHIAxnA=="`), status: 400, says: "/resourceSpans/0/scopeSpans/0/spans/0/traceId must be an id in hexadecimal"},
		"an id of half a byte too few": {contentType: jsonType, body: inSpan(`"spanId":"b7ad6b716920333"`), status: 400, says: "spanId must be an id in hexadecimal"},
		"an id that is a number":       {contentType: jsonType, body: inSpan(`"parentSpanId":1234567890123456`), status: 400, says: "parentSpanId must be an id in hexadecimal"},
		"a time that is a date":        {contentType: jsonType, body: inSpan(`"startTimeUnixNano":"2026-08-20T12:00:00Z"`), status: 400, says: "startTimeUnixNano must be a time in nanoseconds"},
		"a time that is a list":        {contentType: jsonType, body: inSpan(`"endTimeUnixNano":[]`), status: 400, says: "endTimeUnixNano must be a time in nanoseconds"},
		"an integer that is none":      {contentType: jsonType, body: inSpan(`"attributes":[{"key":"a","value":{"intValue":"many"}}]`), status: 400, says: "intValue must be a whole number"},
		"an integer with a fraction":   {contentType: jsonType, body: inSpan(`"attributes":[{"key":"a","value":{"intValue":1.5}}]`), status: 400, says: "intValue must be a whole number"},
		"a double that is none":        {contentType: jsonType, body: inSpan(`"attributes":[{"key":"a","value":{"doubleValue":"much"}}]`), status: 400, says: "doubleValue must be a number"},
		"bytes that are not base64":    {contentType: jsonType, body: inSpan(`"attributes":[{"key":"a","value":{"bytesValue":"%%"}}]`), status: 400, says: "bytesValue must not be a string, or not this one"},
		"a status code of no name":     {contentType: jsonType, body: inSpan(`"status":{"code":"BROKEN"}`), status: 400, says: "must be a status code"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if string(tt.body) == "-" {
				tt.body = encodings[tt.contentType](t, deepExport)
			}
			header := headerOf(tt.contentType)
			if tt.coding != "" {
				header.Set("Content-Encoding", tt.coding)
			}
			l := &ledger{}
			set := []func(*otlp.Options){small}
			if len(tt.body) > 2001 && tt.status != 413 {
				set = nil
			}
			got := post(t, l, header, tt.body, set...)
			if got.status != tt.status {
				t.Errorf("status %d, not %d: %s", got.status, tt.status, got.body)
			}
			if message := got.message(t, header.Get("Content-Type")); !strings.Contains(message, tt.says) {
				t.Errorf("the message is %q, which does not say %q", message, tt.says)
			}
			if l.calls > 0 {
				t.Error("something was handed to the ledger")
			}
		})
	}
}

// TestSmallBodiesWithLargeContents checks the limit of messages: an empty message takes two bytes on the wire and many in
// memory.
func TestSmallBodiesWithLargeContents(t *testing.T) {
	t.Parallel()
	s := newSpan(1, 0, chat)
	s.Attributes = append(s.Attributes, make([]*commonpb.KeyValue, 600_000)...)
	for contentType, body := range map[string][]byte{
		protobufType: encodings[protobufType](t, exportOf(s)),
		jsonType:     inSpan(`"attributes":[{}` + strings.Repeat(",{}", 600_000) + `]`),
	} {
		got := post(t, &ledger{}, headerOf(contentType), body)
		if message := got.message(t, contentType); got.status != http.StatusRequestEntityTooLarge || !strings.Contains(message, "too many attributes") {
			t.Errorf("%s: %d %s", contentType, got.status, message)
		}
	}
}

// TestConcurrentRequests checks that exports beyond the concurrency limit wait, and that each gets its own response.
func TestConcurrentRequests(t *testing.T) {
	t.Parallel()
	l := &ledger{}
	traces := otlp.New(otlp.Options{Ledger: l, AtOnce: 1})
	good, bad := encodings[jsonType](t, exportOf(newSpan(1, 0, chat))), []byte("{")
	var exporters sync.WaitGroup
	for range 20 {
		exporters.Go(func() {
			if status, _, _ := traces.Export(t.Context(), headerOf(jsonType), bytes.NewReader(good)); status != http.StatusOK {
				t.Errorf("a good export returned %d", status)
			}
			if status, _, _ := traces.Export(t.Context(), headerOf(jsonType), bytes.NewReader(bad)); status != http.StatusBadRequest {
				t.Errorf("a bad export returned %d", status)
			}
		})
	}
	exporters.Wait()
	if len(l.batch.Executions) != 20 {
		t.Errorf("%d executions", len(l.batch.Executions))
	}
}

func damaged(compressed []byte) []byte {
	compressed[len(compressed)-8] ^= 0xff
	return compressed
}

// inSpan returns a JSON export of a span with the given members.
func inSpan(members string) []byte {
	return []byte(`{"resourceSpans":[{"scopeSpans":[{"spans":[{` + members + `}]}]}]}`)
}

// message decodes a google.rpc.Status, which is in JSON unless the request was in protobuf.
func (a answer) message(t testing.TB, contentType string) string {
	t.Helper()
	status := &statuspb.Status{}
	if contentType == protobufType {
		if a.mediaType != protobufType {
			t.Errorf("the answer is %s", a.mediaType)
		}
		if err := proto.Unmarshal(a.body, status); err != nil {
			t.Fatal(err)
		}
	} else {
		if a.mediaType != jsonType {
			t.Errorf("the answer is %s", a.mediaType)
		}
		if err := json.Unmarshal(a.body, status); err != nil {
			t.Fatalf("%v: %s", err, a.body)
		}
	}
	if status.GetCode() == 0 {
		t.Error("the status says OK")
	}
	return status.GetMessage()
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestStalledBodies(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		body   io.Reader
		status int
		says   string
	}{
		"ends early":         {io.MultiReader(strings.NewReader("{"), failing{io.ErrUnexpectedEOF}), 400, "ended early"},
		"too slow":           {failing{fmt.Errorf("read: %w", os.ErrDeadlineExceeded)}, 408, "in time"},
		"stopped by another": {http.MaxBytesReader(nil, io.NopCloser(strings.NewReader("{      }")), 3), 413, "more than 3 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got answer
			got.status, got.mediaType, got.body = otlp.New(otlp.Options{Ledger: &ledger{}}).Export(t.Context(), headerOf(jsonType), tt.body)
			if got.status != tt.status || !strings.Contains(got.message(t, jsonType), tt.says) {
				t.Errorf("answered %d %s", got.status, got.body)
			}
		})
	}
}

func TestRefuse(t *testing.T) {
	t.Parallel()
	traces := otlp.New(otlp.Options{Ledger: &ledger{}})
	for status, code := range map[int]int32{400: 3, 401: 16, 403: 7, 404: 5, 405: 12, 408: 4, 413: 3, 415: 3, 429: 8, 500: 13, 503: 14} {
		var got answer
		got.mediaType, got.body = traces.Refuse(headerOf(protobufType), status, "a token is needed")
		answered := &statuspb.Status{}
		if err := proto.Unmarshal(got.body, answered); err != nil || got.mediaType != protobufType {
			t.Fatal(got.mediaType, err)
		}
		if answered.GetCode() != code || answered.GetMessage() != "a token is needed" {
			t.Errorf("%d returned %v", status, answered)
		}
	}
	for _, contentType := range []string{jsonType + "; charset=utf-8", "text/plain", ""} {
		mediaType, body := traces.Refuse(headerOf(contentType), 401, "a token is needed")
		if want := `{"code":16,"message":"a token is needed"}`; mediaType != jsonType || string(body) != want {
			t.Errorf("%q returned %s %s", contentType, mediaType, body)
		}
	}
}
