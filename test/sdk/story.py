"""Sends the story of story.go with OpenTelemetry's SDK for Python: once in each encoding, plain and compressed.

The exporters read the endpoint and the token from OTEL_EXPORTER_OTLP_TRACES_ENDPOINT and
OTEL_EXPORTER_OTLP_TRACES_HEADERS. The only argument is the user of the story.
"""

import json
import sys

from opentelemetry.exporter.otlp.common.http import Compression as JSONCompression
from opentelemetry.exporter.otlp.json.http.trace_exporter import OTLPSpanExporter as JSONExporter
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import SpanKind


class Strict(SpanExporter):
    """Records whether an export failed, which a span processor only logs."""

    def __init__(self, exporter):
        self.exporter = exporter
        self.failed = False

    def export(self, spans):
        result = self.exporter.export(spans)
        self.failed = self.failed or result is not SpanExportResult.SUCCESS
        return result

    def shutdown(self):
        self.exporter.shutdown()


def tell(tracer, user):
    """Makes a request to an agent. A span is exported when it ends, so inner spans arrive first."""
    question = [{"role": "user", "parts": [{"type": "text", "content": "What should I wear in Paris?"}]}]
    answer = [{"role": "assistant", "parts": [{"type": "text", "content": "A raincoat."}], "finish_reason": "stop"}]
    with tracer.start_as_current_span(
        "POST /ask",
        kind=SpanKind.SERVER,
        attributes={"http.request.method": "POST", "http.route": "/ask", "user.id": user},
    ), tracer.start_as_current_span(
        "invoke_agent stylist",
        attributes={
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.provider.name": "openai",
            "gen_ai.agent.name": "stylist",
            "gen_ai.conversation.id": "paris",
        },
    ):
        with tracer.start_as_current_span(
            "chat gpt-5",
            kind=SpanKind.CLIENT,
            attributes={
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": "openai",
                "gen_ai.request.model": "gpt-5",
                "gen_ai.input.messages": json.dumps(question),
            },
        ) as chat:
            chat.set_attribute("gen_ai.usage.input_tokens", 120)
            chat.set_attribute("gen_ai.usage.output_tokens", 30)
            chat.set_attribute("gen_ai.usage.cache_read.input_tokens", 100)
            chat.set_attribute("gen_ai.output.messages", json.dumps(answer))
        with tracer.start_as_current_span(
            "execute_tool get_weather",
            attributes={
                "gen_ai.operation.name": "execute_tool",
                "gen_ai.tool.name": "get_weather",
                "gen_ai.tool.call.arguments": json.dumps({"city": "Paris"}),
            },
        ), tracer.start_as_current_span(
            "chat gpt-5-mini",
            kind=SpanKind.CLIENT,
            attributes={
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": "openai",
                "gen_ai.request.model": "gpt-5-mini",
            },
        ) as chat:
            chat.set_attribute("gen_ai.usage.input_tokens", 40)
            chat.set_attribute("gen_ai.usage.output_tokens", 10)


def main():
    """Exit with 1 if any export failed."""
    failed = False
    for exporter in (
        OTLPSpanExporter(compression=Compression.NoCompression),
        OTLPSpanExporter(compression=Compression.Gzip),
        JSONExporter(compression=JSONCompression.NONE),
        JSONExporter(compression=JSONCompression.GZIP),
    ):
        strict = Strict(exporter)
        provider = TracerProvider(resource=Resource.create({"service.name": "wardrobe"}))
        provider.add_span_processor(SimpleSpanProcessor(strict))
        tell(provider.get_tracer("story"), sys.argv[1])
        provider.shutdown()
        failed = failed or strict.failed
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
