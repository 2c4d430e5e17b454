package server

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	metricspb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/watchbill/watchbill/internal/server/connections"
)

// dialGRPC serves a's gRPC handler on a new address and connects to it.
func dialGRPC(t *testing.T, a *api, change func(*http.Server)) (*grpc.ClientConn, string) {
	t.Helper()
	address := listen(t, a.GRPC(), connections.ServerOptions{GRPC: true}, change)
	conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn, address
}

func withIngest(ctx context.Context, token string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
}

// traceRequest returns an export read from OTLP's JSON, with its hexadecimal ids converted for protobuf.
func traceRequest(t *testing.T) *collectorpb.ExportTraceServiceRequest {
	t.Helper()
	text := strings.NewReplacer(`"traceId":"4bf92f3577b34da6a3ce929d0e0e4736"`, `"traceId":"S/kvNXezTaajzpKdDg5HNg=="`,
		`"spanId":"00f067aa0ba902b7"`, `"spanId":"APBnqgupArc="`).Replace(inference("ada", at()))
	request := &collectorpb.ExportTraceServiceRequest{}
	if err := protojson.Unmarshal([]byte(text), request); err != nil {
		t.Fatal(err)
	}
	return request
}

func TestGRPCStoresSpans(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	conn, _ := dialGRPC(t, a, nil)
	client := collectorpb.NewTraceServiceClient(conn)
	request := traceRequest(t)
	spans := request.GetResourceSpans()[0].GetScopeSpans()[0]
	spans.Spans = append(spans.Spans, &tracepb.Span{TraceId: make([]byte, 16), SpanId: make([]byte, 8)}) // will be rejected
	answer, err := client.Export(withIngest(t.Context(), ingestToken), request)
	if err != nil {
		t.Fatal(err)
	}
	if got := answer.GetPartialSuccess(); got.GetRejectedSpans() != 1 || got.GetErrorMessage() == "" {
		t.Errorf("partial success is %v", got)
	}
	if _, err = client.Export(withIngest(t.Context(), ingestToken), request, grpc.UseCompressor(gzip.Name)); err != nil {
		t.Error(err) // a duplicate
	}
	if got := a.of(t, "ada"); len(got) != 1 || got[0].Model != "gpt-4o" || got[0].Tokens.Input != 12 {
		t.Errorf("got %+v", got)
	}
	lines := a.logged(t, "request")
	if last := lines[len(lines)-1]; last.Route != "/v1/traces" || last.Status != 200 || last.BytesIn == 0 {
		t.Errorf("the log has %+v", last)
	}
}

func TestGRPCRefuses(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	conn, _ := dialGRPC(t, a, nil)
	client := collectorpb.NewTraceServiceClient(conn)
	for token, want := range map[string]codes.Code{"nobody's": codes.Unauthenticated, "": codes.Unauthenticated, adminToken: codes.PermissionDenied} {
		if _, err := client.Export(withIngest(t.Context(), token), traceRequest(t)); status.Code(err) != want {
			t.Errorf("token %q: got %v, want %s", token, err, want)
		}
	}
	_, err := metricspb.NewMetricsServiceClient(conn).Export(withIngest(t.Context(), ingestToken), &metricspb.ExportMetricsServiceRequest{})
	if status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "OTEL_METRICS_EXPORTER") {
		t.Errorf("metrics: got %v", err)
	}
	for _, method := range []string{"/grpc.health.v1.Health/Check", "/api/agents", "/v1/traces"} {
		err := conn.Invoke(withIngest(t.Context(), ingestToken), method, traceRequest(t), &collectorpb.ExportTraceServiceResponse{})
		if status.Code(err) != codes.Unimplemented {
			t.Errorf("%s: got %v", method, err)
		}
	}
	large := traceRequest(t)
	span := large.GetResourceSpans()[0].GetScopeSpans()[0].GetSpans()[0]
	span.Attributes = append(span.Attributes, &commonpb.KeyValue{
		Key: "input.value", Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: strings.Repeat("x", 17<<20)}},
	})
	for name, opts := range map[string][]grpc.CallOption{"as it is": nil, "compressed": {grpc.UseCompressor(gzip.Name)}} {
		if _, err := client.Export(withIngest(t.Context(), ingestToken), large, opts...); status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "16777216 bytes") {
			t.Errorf("too large, %s: got %.300v", name, err)
		}
	}
	a.ingest.Traces = fakeTraces{a.options.Traces, http.StatusServiceUnavailable}
	_, err = client.Export(withIngest(t.Context(), ingestToken), traceRequest(t))
	if status.Code(err) != codes.Unavailable {
		t.Errorf("got %v", err)
	}
	var delay time.Duration
	for _, detail := range status.Convert(err).Details() {
		if retry, ok := detail.(*errdetails.RetryInfo); ok {
			delay = retry.GetRetryDelay().AsDuration()
		}
	}
	if delay <= 0 {
		t.Error("no RetryInfo says when to retry")
	}
	if got := a.of(t, "ada"); len(got) != 0 {
		t.Errorf("stored %+v", got)
	}
}

// callRaw makes a gRPC call with any body, over HTTP/2 without TLS.
func callRaw(t *testing.T, address string, header map[string]string, body []byte) (grpcStatus, message string) {
	t.Helper()
	protocols := &http.Protocols{}
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: protocols}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
		"http://"+address+"/opentelemetry.proto.collector.trace.v1.TraceService/Export", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/grpc")
	request.Header.Set("Authorization", "Bearer "+ingestToken)
	for name, value := range header {
		request.Header.Set(name, value)
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var rest bytes.Buffer
	if _, err := rest.ReadFrom(response.Body); err != nil {
		t.Fatal(err)
	}
	status := response.Trailer
	if rest.Len() == 0 { // without a message, proxies do not forward trailers
		status = response.Header
	}
	if status.Get("Grpc-Status") == "" {
		t.Fatalf("answered %d %v %q, without a status", response.StatusCode, response.Header, rest.String())
	}
	return status.Get("Grpc-Status"), status.Get("Grpc-Message")
}

func TestGRPCBrokenMessages(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	_, address := dialGRPC(t, a, nil)
	empty := []byte{0, 0, 0, 0, 0}
	for name, tt := range map[string]struct {
		header map[string]string
		body   []byte
		status string
		says   string
	}{
		"an empty message":                {body: empty, status: "0"},
		"an empty message, as it is":      {header: map[string]string{"Grpc-Encoding": "gzip"}, body: empty, status: "0"},
		"no message":                      {status: "3", says: "no message"},
		"half a prefix":                   {body: empty[:3], status: "3", says: "ended early"},
		"a message cut off":               {body: []byte{0, 0, 0, 0, 9, 1, 2}, status: "3", says: "ended early"},
		"a message that claims 4 GiB":     {body: []byte{0, 0xff, 0xff, 0xff, 0xff, 1, 2}, status: "3", says: "ended early"},
		"two messages":                    {body: append(bytes.Clone(empty), empty...), status: "3", says: "more than one message"},
		"a flag that is none":             {body: []byte{7, 0, 0, 0, 0}, status: "3", says: "not a message"},
		"garbage":                         {body: []byte("\x00\x00\x00\x00\x05hello"), status: "3", says: "not an ExportTraceServiceRequest"},
		"compressed by nobody knows what": {body: []byte{1, 0, 0, 0, 0}, status: "3", says: "does not say how"},
		"an unknown compression":          {header: map[string]string{"Grpc-Encoding": "snappy"}, body: []byte{1, 0, 0, 0, 1, 9}, status: "12", says: "gzip, zstd"},
		"zstd that is none":               {header: map[string]string{"Grpc-Encoding": "zstd"}, body: []byte("\x01\x00\x00\x00\x05hello"), status: "3", says: "not zstd"},
		"a timeout that is none":          {header: map[string]string{"Grpc-Timeout": "soon"}, body: empty, status: "3", says: "grpc-timeout"},
		"a timeout that is over":          {header: map[string]string{"Grpc-Timeout": "1n"}, body: empty, status: "4", says: "deadline has passed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, message := callRaw(t, address, tt.header, tt.body)
			if got != tt.status || !strings.Contains(message, tt.says) {
				t.Errorf("got %s %q, want %s %q", got, message, tt.status, tt.says)
			}
		})
	}
	if got := exchangeRaw(t, address, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); !strings.Contains(got, "415") || !strings.Contains(got, "gRPC") {
		t.Errorf("HTTP/1.1 returned %q", got)
	}
	sendGarbage(t, address, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\xff\xff garbage that is no frame")
}

func TestGRPCHalfClosedStreamTimesOut(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	conn, _ := dialGRPC(t, a, func(s *http.Server) { s.ReadTimeout = 100 * time.Millisecond })
	ctx, cancel := context.WithTimeout(withIngest(t.Context(), ingestToken), 30*time.Second)
	defer cancel()
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true}, "/opentelemetry.proto.collector.trace.v1.TraceService/Export")
	if err != nil {
		t.Fatal(err)
	}
	// No message is sent, and the stream is not closed.
	if err := stream.RecvMsg(&collectorpb.ExportTraceServiceResponse{}); status.Code(err) != codes.DeadlineExceeded || ctx.Err() != nil || !strings.Contains(err.Error(), "in time") {
		t.Errorf("got %v", err)
	}
}

// sendGarbage sends bytes over a new connection and fails the test unless the server closes it.
func sendGarbage(t *testing.T, address, sent string) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, sent); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the connection is not closed")
	}
}
