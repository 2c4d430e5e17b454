package server

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/ratelimit"
	"github.com/watchbill/watchbill/internal/server/connections"
)

func (r response) rpcStatus() openapi.RPCStatus {
	r.t.Helper()
	if got := r.Header().Get("Content-Type"); got != "application/json" {
		r.t.Fatalf("%d has content type %q", r.Code, got)
	}
	var status openapi.RPCStatus
	r.decode(&status)
	return status
}

// inference returns an export of one call of a model for a user.
func inference(userID string, began time.Time) string {
	return fmt.Sprintf(`{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"4bf92f3577b34da6a3ce929d0e0e4736","spanId":"00f067aa0ba902b7","name":"chat gpt-4o",
		"kind":3,"startTimeUnixNano":"%d","endTimeUnixNano":"%d","attributes":[
		{"key":"gen_ai.operation.name","value":{"stringValue":"chat"}},{"key":"gen_ai.request.model","value":{"stringValue":"gpt-4o"}},
		{"key":"user.id","value":{"stringValue":%q}},{"key":"gen_ai.usage.input_tokens","value":{"intValue":"12"}}]}]}]}]}`,
		began.UnixNano(), began.Add(time.Second).UnixNano(), userID)
}

func TestTraces(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	body := inference("ada", at())
	export := func(token string) response {
		return a.send(t, request{method: "POST", path: "/v1/traces?anything=1", token: token, body: body})
	}
	export(ingestToken).want(http.StatusOK)
	if got := a.of(t, "ada"); len(got) != 1 || got[0].Model != "gpt-4o" || got[0].Tokens.Input != 12 {
		t.Errorf("got %+v", got)
	}
	if lines := a.logged(t, "request"); lines[len(lines)-1].BytesIn != int64(len(body)) {
		t.Errorf("the log has %+v", lines[len(lines)-1])
	}
	for token, status := range map[string]int{"-": 401, "nobody's": 401, adminToken: 403} {
		got := export(token).want(status)
		if s := got.rpcStatus(); s.Message == "" || (got.Header().Get("WWW-Authenticate") != "") != (status == 401) {
			t.Errorf("got %+v, %v", s, got.Header())
		}
	}
	for status, again := range map[int]bool{400: false, 413: false, 429: true, 503: true} {
		a.ingest.Traces = fakeTraces{a.options.Traces, status}
		if got := export(ingestToken).want(status); (got.Header().Get("Retry-After") != "") != again {
			t.Errorf("%d: Retry-After is %q", status, got.Header().Get("Retry-After"))
		}
	}
}

func TestOtherSignals(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	for path, variable := range map[string]string{"/v1/metrics": "OTEL_METRICS_EXPORTER=none"} {
		got := a.send(t, request{method: "POST", path: path, token: ingestToken, body: "anything"}).want(http.StatusBadRequest)
		if s := got.rpcStatus(); !strings.Contains(s.Message, variable) || !strings.Contains(s.Message, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") {
			t.Errorf("%s: got %+v", path, s)
		}
		got = a.send(t, request{method: "POST", path: path, token: ingestToken, body: "\n", contentType: "application/x-protobuf"}).want(http.StatusBadRequest)
		if mediaType := got.Header().Get("Content-Type"); mediaType != "application/x-protobuf" || got.Body.Len() == 0 {
			t.Errorf("%s: protobuf returned %s", path, mediaType)
		}
		a.send(t, request{method: "POST", path: path}).want(http.StatusUnauthorized)
	}
}

func TestTracesAreLimited(t *testing.T) {
	t.Parallel()
	rules, err := ratelimit.Parse([]string{"ingest/token=1/d"})
	if err != nil {
		t.Fatal(err)
	}
	a := newAPI(t, func(o *Options) { o.Limiter = ratelimit.New(ratelimit.Options{Limits: rules, Now: time.Now}) })
	a.record(t, `{"user_id":"u","agent_name":"a","status":"success"}`).want(http.StatusCreated)
	got := a.send(t, request{method: "POST", path: "/v1/traces", token: ingestToken, body: "{}"}).want(http.StatusTooManyRequests)
	if got.rpcStatus().Message == "" || got.Header().Get("Retry-After") == "" || a.stored(t) != 1 {
		t.Errorf("got %v", got.Header())
	}
}

// An export that does not end in time receives a timeout status, encoded as the protocol defines.
func TestSlowExports(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	address := listen(t, a, connections.ServerOptions{}, func(s *http.Server) { s.ReadTimeout = 100 * time.Millisecond })
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "POST /v1/traces HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+ingestToken+"\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
	got, _ := io.ReadAll(conn)
	if !strings.HasPrefix(string(got), "HTTP/1.1 408 ") || !strings.Contains(string(got), `"code":4,`) {
		t.Errorf("got %q", got)
	}
}
