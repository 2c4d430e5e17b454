package sdk

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// The story is the trace that the SDKs send: an HTTP request to an agent, which calls a model and uses a tool that
// calls another model. Each span is sent when it ends, so that the innermost arrive first and the request, which alone
// names the user, arrives last. Each telling is a separate trace.
const (
	Agent   = "stylist" // only the agent's own span has its name and the session
	Session = "paris"
	Model   = "gpt-5"
	Other   = "gpt-5-mini" // the model that the tool calls

	Executions   = 4 // in each telling: the agent's run, two model calls, a use of a tool
	InputTokens  = 160
	OutputTokens = 40
	CachedTokens = 100 // of the input

	GoUser     = "user-of-go"
	GoRuns     = 2 // in protobuf, plain and compressed
	PythonUser = "user-of-python"
	PythonRuns = 4 // in protobuf and in JSON, plain and compressed
)

// SendWithGo sends the story with the SDK for Go. The endpoint is the complete URL for traces.
func SendWithGo(ctx context.Context, endpoint, token string) error {
	for _, compression := range []otlptracehttp.Compression{otlptracehttp.NoCompression, otlptracehttp.GzipCompression} {
		exporter, err := otlptracehttp.New(ctx,
			otlptracehttp.WithEndpointURL(endpoint),
			otlptracehttp.WithHeaders(map[string]string{"Authorization": "Bearer " + token}),
			otlptracehttp.WithCompression(compression))
		if err != nil {
			return fmt.Errorf("make an exporter: %w", err)
		}
		if err := send(ctx, exporter); err != nil {
			return err
		}
	}
	return nil
}

// SendWithGoByGRPC is like SendWithGo, but uses gRPC. The options must set the endpoint and the token.
func SendWithGoByGRPC(ctx context.Context, options ...otlptracegrpc.Option) error {
	for _, compression := range []string{"none", "gzip"} {
		exporter, err := otlptracegrpc.New(ctx, append(slices.Clone(options), otlptracegrpc.WithCompressor(compression))...)
		if err != nil {
			return fmt.Errorf("make an exporter: %w", err)
		}
		if err := send(ctx, exporter); err != nil {
			return err
		}
	}
	return nil
}

// send sends the story once.
func send(ctx context.Context, exporter sdktrace.SpanExporter) error {
	strict := &strictExporter{SpanExporter: exporter}
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithSyncer(strict),
		sdktrace.WithResource(resource.NewSchemaless(attribute.String("service.name", "wardrobe"))))
	tell(ctx, provider.Tracer("story"))
	if err := errors.Join(append(strict.failures, provider.Shutdown(ctx))...); err != nil {
		return fmt.Errorf("send spans with the SDK for Go: %w", err)
	}
	return nil
}

// strictExporter records errors, which a span processor only logs.
type strictExporter struct {
	sdktrace.SpanExporter
	failures []error
}

func (e *strictExporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := e.SpanExporter.ExportSpans(ctx, spans)
	if err != nil {
		e.failures = append(e.failures, err)
	}
	return err
}

func tell(ctx context.Context, tracer trace.Tracer) {
	start := func(ctx context.Context, name string, kind trace.SpanKind, attributes ...attribute.KeyValue) (context.Context, trace.Span) {
		return tracer.Start(ctx, name, trace.WithSpanKind(kind), trace.WithAttributes(attributes...))
	}
	ctx, request := start(ctx, "POST /ask", trace.SpanKindServer,
		attribute.String("http.request.method", "POST"),
		attribute.String("http.route", "/ask"),
		attribute.String("user.id", GoUser))
	defer request.End()
	ctx, agent := start(ctx, "invoke_agent "+Agent, trace.SpanKindInternal,
		attribute.String("gen_ai.operation.name", "invoke_agent"),
		attribute.String("gen_ai.provider.name", "openai"),
		attribute.String("gen_ai.agent.name", Agent),
		attribute.String("gen_ai.conversation.id", Session))
	defer agent.End()

	_, chat := start(ctx, "chat "+Model, trace.SpanKindClient,
		attribute.String("gen_ai.operation.name", "chat"),
		attribute.String("gen_ai.provider.name", "openai"),
		attribute.String("gen_ai.request.model", Model),
		attribute.String("gen_ai.input.messages", `[{"role":"user","parts":[{"type":"text","content":"What should I wear in Paris?"}]}]`))
	chat.SetAttributes(
		attribute.Int("gen_ai.usage.input_tokens", 120),
		attribute.Int("gen_ai.usage.output_tokens", 30),
		attribute.Int("gen_ai.usage.cache_read.input_tokens", 100),
		attribute.String("gen_ai.output.messages", `[{"role":"assistant","parts":[{"type":"text","content":"A raincoat."}],"finish_reason":"stop"}]`))
	chat.End()

	ctx, tool := start(ctx, "execute_tool get_weather", trace.SpanKindInternal,
		attribute.String("gen_ai.operation.name", "execute_tool"),
		attribute.String("gen_ai.tool.name", "get_weather"),
		attribute.String("gen_ai.tool.call.arguments", `{"city":"Paris"}`))
	defer tool.End()
	_, chat = start(ctx, "chat "+Other, trace.SpanKindClient,
		attribute.String("gen_ai.operation.name", "chat"),
		attribute.String("gen_ai.provider.name", "openai"),
		attribute.String("gen_ai.request.model", Other))
	chat.SetAttributes(
		attribute.Int("gen_ai.usage.input_tokens", 40),
		attribute.Int("gen_ai.usage.output_tokens", 10))
	chat.End()
}
