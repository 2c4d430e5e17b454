package replica_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploggrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	otellog "go.opentelemetry.io/otel/log"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/watchbill/watchbill/internal/replica"
	"github.com/watchbill/watchbill/internal/testkit/await"
	"github.com/watchbill/watchbill/internal/testkit/postgrestest"
	"github.com/watchbill/watchbill/test/sdk"
)

func withGRPC(c *replica.Config) { c.GRPCListen = "127.0.0.1:0" }

var grpcHeaders = map[string]string{"authorization": "Bearer " + ingestToken}

// TestExportersOfGRPC runs the official exporter with and without TLS.
func TestExportersOfGRPC(t *testing.T) {
	t.Parallel()
	certFile, keyFile, authority := localCertificate(t)
	for name, tt := range map[string]struct {
		config func(*replica.Config)
		secure otlptracegrpc.Option
	}{
		"without TLS": {config: func(*replica.Config) {}, secure: otlptracegrpc.WithInsecure()},
		"by TLS": {
			config: func(c *replica.Config) { c.TLSCertFile, c.TLSKeyFile = certFile, keyFile },
			secure: otlptracegrpc.WithTLSCredentials(credentials.NewTLS(&tls.Config{RootCAs: authority, MinVersion: tls.VersionTLS12})),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			database := postgrestest.NewDatabase(t)
			a := start(t, database, withAgents(t), withGRPC, tt.config)
			b := start(t, database, withAgents(t))
			err := sdk.SendWithGoByGRPC(t.Context(), otlptracegrpc.WithEndpoint(a.grpc), otlptracegrpc.WithHeaders(grpcHeaders), tt.secure)
			if err != nil {
				t.Fatal(err)
			}
			await.Until(t, "all executions the user's", func() bool {
				return b.executionMetrics().TotalRequests == sdk.GoRuns && len(b.activity(sdk.GoUser)) == sdk.GoRuns*sdk.Executions
			})
			err = sdk.SendWithGoByGRPC(t.Context(), otlptracegrpc.WithEndpoint(a.grpc), tt.secure)
			if err == nil || !strings.Contains(err.Error(), "Unauthenticated") {
				t.Errorf("without a token: got %v", err)
			}
		})
	}
}

// localCertificate creates a certificate for 127.0.0.1.
func localCertificate(t *testing.T) (certFile, keyFile string, authority *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	encoded := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})
	for file, content := range map[string][]byte{certFile: encoded, keyFile: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})} {
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	authority = x509.NewCertPool()
	authority.AppendCertsFromPEM(encoded)
	return certFile, keyFile, authority
}

// TestLogsOfExporters sends a span to one replica and its content, in log records, to another, with the official exporters.
func TestLogsOfExporters(t *testing.T) {
	t.Parallel()
	for _, first := range []string{"logs", "span"} {
		t.Run(first+" first", func(t *testing.T) {
			t.Parallel()
			database := postgrestest.NewDatabase(t)
			masked := func(c *replica.Config) { c.Executions.Redact = []string{"builtin:email"} }
			a, b := start(t, database, withAgents(t), withGRPC, masked), start(t, database, withAgents(t), withGRPC, masked)
			spans, err := otlptracegrpc.New(t.Context(), otlptracegrpc.WithEndpoint(a.grpc), otlptracegrpc.WithHeaders(grpcHeaders), otlptracegrpc.WithInsecure())
			if err != nil {
				t.Fatal(err)
			}
			logs, err := otlploggrpc.New(t.Context(), otlploggrpc.WithEndpoint(b.grpc), otlploggrpc.WithHeaders(grpcHeaders), otlploggrpc.WithInsecure(), otlploggrpc.WithCompressor("gzip"))
			if err != nil {
				t.Fatal(err)
			}
			tracers := sdktrace.NewTracerProvider(sdktrace.WithBatcher(spans))
			loggers := sdklog.NewLoggerProvider(sdklog.WithProcessor(sdklog.NewBatchProcessor(logs)))
			ctx, span := tracers.Tracer("app").Start(t.Context(), "chat gpt-4o", trace.WithAttributes(
				attribute.String("gen_ai.operation.name", "chat"), attribute.String("gen_ai.request.model", "gpt-4o"), attribute.String("user.id", "ada"),
				attribute.Int("gen_ai.usage.input_tokens", 12), attribute.Int("gen_ai.usage.output_tokens", 3)))
			emit(ctx, loggers, "gen_ai.user.message", attribute.String("content", "write to ada@example.com"))
			emit(ctx, loggers, "gen_ai.choice", attribute.Map("message", attribute.String("content", "done")))
			span.End()
			flush := []func(context.Context) error{loggers.Shutdown, tracers.Shutdown}
			if first == "span" {
				flush = []func(context.Context) error{tracers.Shutdown, loggers.Shutdown}
			}
			for _, one := range flush {
				if err := one(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			var input, output string
			await.Until(t, "the content joined", func() bool {
				got := a.activity("ada")
				if len(got) != 1 {
					return false
				}
				input, output = text(t, got[0].InputData), text(t, got[0].OutputData)
				return output != "null"
			})
			if !strings.Contains(input, "write to") || strings.Contains(input, "ada@example.com") || !strings.Contains(output, "done") {
				t.Errorf("got %s and %s", input, output)
			}
			if got := b.do(http.MethodDelete, "/api/admin/users/ada", adminToken, nil); got.status != http.StatusOK || len(a.activity("ada")) != 0 {
				t.Errorf("erase: got %d %s", got.status, got.body)
			}
		})
	}
}

func emit(ctx context.Context, loggers *sdklog.LoggerProvider, name string, members ...attribute.KeyValue) {
	var record otellog.Record
	record.SetTimestamp(time.Now())
	record.SetEventName(name)
	record.SetBody(attribute.MapValue(members...))
	loggers.Logger("app").Emit(ctx, record)
}

func text(t *testing.T, value any) string {
	t.Helper()
	encoded, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(encoded)
}

// TestGRPCExportersHonourRetryInfo runs an exporter into a rate limit: it retries after RetryInfo's time, and loses nothing.
func TestGRPCExportersHonourRetryInfo(t *testing.T) {
	t.Parallel()
	n := start(t, postgrestest.NewDatabase(t), withAgents(t), withGRPC, func(c *replica.Config) { c.Limits = []string{"ingest/token=4/s:burst=4"} })
	err := sdk.SendWithGoByGRPC(t.Context(), otlptracegrpc.WithEndpoint(n.grpc), otlptracegrpc.WithHeaders(grpcHeaders), otlptracegrpc.WithInsecure())
	if err != nil {
		t.Fatal(err)
	}
	await.Until(t, "all executions stored", func() bool { return len(n.activity(sdk.GoUser)) == sdk.GoRuns*sdk.Executions })
	if !strings.Contains(n.scrape(), `code="429",method="POST",route="/v1/traces"`) {
		t.Error("no export was refused: the limit is too large for the test")
	}
}

// TestGRPCShutdownLosesNothing stops a replica while clients export, with concurrent calls on each connection. Acknowledged
// exports are stored, and the others can be retried.
func TestGRPCShutdownLosesNothing(t *testing.T) {
	t.Parallel()
	const connections, calls = 2, 16 // concurrent calls on each connection
	database := postgrestest.NewDatabase(t)
	n, other := start(t, database, withAgents(t), withGRPC), start(t, database, withAgents(t))
	var mu sync.Mutex
	var stored []string
	enough := make(chan struct{})
	var clients sync.WaitGroup
	for c := range connections {
		conn, err := grpc.NewClient("passthrough:///"+n.grpc, grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, PermitWithoutStream: true}))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		client := collectorpb.NewTraceServiceClient(conn)
		for k := range calls {
			clients.Go(func() {
				ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", grpcHeaders["authorization"])
				for i := range 10_000 {
					id := make([]byte, 8)
					binary.BigEndian.PutUint32(id, uint32(c*calls+k+1))
					binary.BigEndian.PutUint32(id[4:], uint32(i))
					_, err := client.Export(ctx, oneSpan(id))
					if status.Code(err) == codes.Unavailable {
						return // an exporter retries it
					}
					if err != nil {
						t.Errorf("got %v", err)
						return
					}
					mu.Lock()
					if stored = append(stored, hex.EncodeToString(id)); len(stored) == 200 {
						close(enough)
					}
					mu.Unlock()
				}
			})
		}
	}
	select {
	case <-enough:
	case <-time.After(30 * time.Second):
		t.Error("200 exports take too long")
	}
	n.stop()
	clients.Wait()
	there := map[string]bool{}
	for position := "/api/admin/user-activity/ada?limit=200"; position != ""; {
		var page struct {
			Activity []struct {
				SpanID string `json:"span_id"`
			} `json:"activity"`
			Next *string `json:"next_cursor"`
		}
		other.get(position, adminToken).decode(t, &page)
		for _, e := range page.Activity {
			there[e.SpanID] = true
		}
		position = ""
		if page.Next != nil {
			position = "/api/admin/user-activity/ada?limit=200&cursor=" + *page.Next
		}
	}
	for _, id := range stored {
		if !there[id] {
			t.Fatalf("%s of %d spans that were acknowledged is not stored, of %d", id, len(stored), len(there))
		}
	}
}

// TestUnauthenticatedGRPC: connections to the gRPC port and the API share one limit, and do not displace those of known
// callers.
func TestUnauthenticatedGRPC(t *testing.T) {
	t.Parallel()
	const limit, strangers = 64, 200
	n := start(t, postgrestest.NewDatabase(t), withAgents(t), withGRPC, func(c *replica.Config) { c.MaxConnections = limit })
	closed := make(chan struct{}, strangers)
	for range strangers {
		conn, err := net.Dial("tcp", n.grpc)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		go func() {
			_, _ = io.Copy(io.Discard, conn) // until it is closed
			closed <- struct{}{}
		}()
	}
	for range strangers - limit {
		select {
		case <-closed:
		case <-time.After(30 * time.Second):
			t.Fatal("more connections are open than the limit")
		}
	}
	shed := 0. // closed in favor of others, not for lack of a request
	for _, reason := range []string{"unauthenticated", "refused"} {
		one, _ := n.gauge(`watchbill_http_connections_shed_total{reason="` + reason + `"}`)
		shed += one
	}
	if shed < strangers-limit {
		t.Errorf("%.0f connections were closed for others, want %d", shed, strangers-limit)
	}
	if err := sdk.SendWithGoByGRPC(t.Context(), otlptracegrpc.WithEndpoint(n.grpc), otlptracegrpc.WithHeaders(grpcHeaders), otlptracegrpc.WithInsecure()); err != nil {
		t.Error(err)
	}
	if got := n.get("/api/health", ""); got.status != http.StatusOK {
		t.Errorf("got %d", got.status)
	}
}

// oneSpan returns an export of one call in its own trace.
func oneSpan(id []byte) *collectorpb.ExportTraceServiceRequest {
	now := uint64(time.Now().UnixNano())
	text := func(name, value string) *commonpb.KeyValue {
		return &commonpb.KeyValue{Key: name, Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: value}}}
	}
	span := &tracepb.Span{
		TraceId: append(make([]byte, 8, 16), id...), SpanId: id, Name: "chat", StartTimeUnixNano: now - 1000, EndTimeUnixNano: now,
		Attributes: []*commonpb.KeyValue{text("gen_ai.operation.name", "chat"), text("gen_ai.request.model", "gpt-4o"), text("user.id", "ada")},
	}
	return &collectorpb.ExportTraceServiceRequest{ResourceSpans: []*tracepb.ResourceSpans{{ScopeSpans: []*tracepb.ScopeSpans{{Spans: []*tracepb.Span{span}}}}}}
}
