package main

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"

	collectorlogs "go.opentelemetry.io/proto/slim/otlp/collector/logs/v1"
	collector "go.opentelemetry.io/proto/slim/otlp/collector/trace/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

const maxExport = 32 << 20

// export is the body of a request to /v1/traces.
type export struct {
	request *collector.ExportTraceServiceRequest
	status  int
	message string // of a partial success or an error
}

// logsExport is the body of a request to /v1/logs.
type logsExport struct {
	request *collectorlogs.ExportLogsServiceRequest
	status  int
	message string // likewise
}

// export keeps what a program sends and forwards it unchanged.
func (l *lab) export(w http.ResponseWriter, r *http.Request) {
	body, answer, err := l.pass(w, r, "/v1/traces")
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	kept, err := decodeExport(r.Header, body)
	if err != nil {
		kept.message = err.Error()
	}
	kept.status = answer.status
	if response := partial(answer.header, answer.body); response != "" {
		kept.message = response
	}
	l.mu.Lock()
	if o := l.seen[l.current]; o != nil {
		o.exports = append(o.exports, kept)
	}
	l.mu.Unlock()
}

// pass forwards an export unchanged and sends back the server's response.
func (l *lab) pass(w http.ResponseWriter, r *http.Request, path string) (body []byte, answer serverAnswer, err error) {
	if body, err = io.ReadAll(http.MaxBytesReader(w, r.Body, maxExport)); err != nil {
		return nil, answer, err
	}
	onward, err := http.NewRequestWithContext(r.Context(), http.MethodPost, l.server+path, bytes.NewReader(body))
	if err != nil {
		return nil, answer, err
	}
	onward.Header = r.Header.Clone()
	response, err := http.DefaultClient.Do(onward)
	if err != nil {
		return nil, answer, err
	}
	defer response.Body.Close()
	answer.status, answer.header = response.StatusCode, response.Header
	if answer.body, err = io.ReadAll(response.Body); err != nil {
		return nil, answer, err
	}
	w.Header().Set("Content-Type", answer.header.Get("Content-Type"))
	w.WriteHeader(answer.status)
	_, _ = w.Write(answer.body)
	return body, answer, nil
}

type serverAnswer struct {
	status int
	header http.Header
	body   []byte
}

// exportLogs keeps and forwards an export of logs, which all programs send as protobuf.
func (l *lab) exportLogs(w http.ResponseWriter, r *http.Request) {
	body, answer, err := l.pass(w, r, "/v1/logs")
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	kept := logsExport{request: &collectorlogs.ExportLogsServiceRequest{}, status: answer.status}
	content, err := unzip(r.Header, body)
	if err == nil {
		err = proto.Unmarshal(content, kept.request)
	}
	var response collectorlogs.ExportLogsServiceResponse
	switch unread := proto.Unmarshal(answer.body, &response); {
	case err != nil:
		kept.message = err.Error()
	case unread != nil || kept.status != http.StatusOK:
		kept.message = fmt.Sprintf("%q", answer.body)
	case response.GetPartialSuccess().GetRejectedLogRecords() > 0:
		kept.message = response.GetPartialSuccess().GetErrorMessage()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if o := l.seen[l.current]; o != nil {
		o.logs = append(o.logs, kept)
	}
}

func unzip(header http.Header, body []byte) ([]byte, error) {
	if header.Get("Content-Encoding") != "gzip" {
		return body, nil
	}
	unzipped, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(unzipped, maxExport))
}

func decodeExport(header http.Header, body []byte) (export, error) {
	e := export{request: &collector.ExportTraceServiceRequest{}}
	body, err := unzip(header, body)
	if err != nil {
		return e, err
	}
	if !strings.HasPrefix(header.Get("Content-Type"), "application/json") {
		return e, proto.Unmarshal(body, e.request)
	}
	// OTLP's JSON has hexadecimal ids, which protojson does not read.
	var tree any
	if err := json.Unmarshal(body, &tree); err != nil {
		return e, err
	}
	rewriteIDs(tree, func(id string) string {
		raw, err := hex.DecodeString(id)
		if err != nil {
			return id
		}
		return base64.StdEncoding.EncodeToString(raw)
	})
	standard, err := json.Marshal(tree)
	if err != nil {
		return e, err
	}
	return e, protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(standard, e.request)
}

func partial(header http.Header, answer []byte) string {
	var response collector.ExportTraceServiceResponse
	if strings.HasPrefix(header.Get("Content-Type"), "application/json") {
		if protojson.Unmarshal(answer, &response) != nil {
			return string(answer)
		}
	} else if proto.Unmarshal(answer, &response) != nil {
		return fmt.Sprintf("%q", answer)
	}
	if response.GetPartialSuccess().GetRejectedSpans() == 0 {
		return "" // only a message is a hint
	}
	return response.GetPartialSuccess().GetErrorMessage()
}

// otlpJSON returns the export as OTLP JSON. Of stack traces it keeps only the causes.
func (e export) otlpJSON() (any, error) {
	encoded, err := protojson.MarshalOptions{UseEnumNumbers: true}.Marshal(e.request)
	if err != nil {
		return nil, err
	}
	var tree any
	decoder := json.NewDecoder(bytes.NewReader(encoded))
	decoder.UseNumber()
	if err := decoder.Decode(&tree); err != nil {
		return nil, err
	}
	rewriteIDs(tree, func(id string) string {
		raw, err := base64.StdEncoding.DecodeString(id)
		if err != nil {
			return id
		}
		return hex.EncodeToString(raw)
	})
	return tree, nil
}

// causes matches the lines of a Java stack trace that name its causes.
var causes = regexp.MustCompile(`\nCaused by: [^\n]*`)

// rewriteIDs changes the ids of spans and traces, and keeps only the causes of stack traces.
func rewriteIDs(tree any, rewrite func(string) string) {
	switch t := tree.(type) {
	case []any:
		for _, v := range t {
			rewriteIDs(v, rewrite)
		}
	case map[string]any:
		for name, v := range t {
			id, isText := v.(string)
			if isText && (name == "traceId" || name == "spanId" || name == "parentSpanId") {
				t[name] = rewrite(id)
				continue
			}
			rewriteIDs(v, rewrite)
		}
		if t["key"] == "exception.stacktrace" {
			value, _ := t["value"].(map[string]any)
			stack, _ := value["stringValue"].(string)
			t["value"] = map[string]any{"stringValue": strings.Join(causes.FindAllString(stack, -1), "")}
		}
	}
}

// spans returns the ids of the executions that the exports' spans may become. A trace's id is not sufficient: some
// instrumentations leave the span of a failed run open, so that what follows is in its trace.
func (o *observed) spans() []string {
	var ids []string
	for _, e := range o.exports {
		for _, resource := range e.request.GetResourceSpans() {
			for _, scope := range resource.GetScopeSpans() {
				for _, span := range scope.GetSpans() {
					ids = append(ids, hex.EncodeToString(span.GetTraceId())+"-"+hex.EncodeToString(span.GetSpanId()))
				}
			}
		}
	}
	return ids
}
