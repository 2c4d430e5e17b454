"""Prompt flow's tracing."""
import common

provider = common.tracing()
from promptflow.tracing import start_trace, trace  # noqa: E402

start_trace()  # it replaces the provider
from opentelemetry import trace as api  # noqa: E402
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: E402
from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: E402

if api.get_tracer_provider() is not provider:
    api.get_tracer_provider().add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
import openai  # noqa: E402

client = openai.OpenAI(max_retries=0, timeout=20)
ask = {"model": "gpt-4o", "messages": [{"role": "user", "content": common.QUESTION}]}


@trace
def weather_flow(question):
    return client.chat.completions.create(**ask).choices[0].message.content


common.run({
    "chat": lambda: client.chat.completions.create(**ask),
    "stream": lambda: list(client.chat.completions.create(**ask, stream=True, stream_options={"include_usage": True})),
    "chat_flow": lambda: weather_flow(common.QUESTION),
    "embeddings": lambda: client.embeddings.create(model="text-embedding-3-small", input="Paris"),
    "http429": lambda: client.chat.completions.create(**ask),
    "timeout": lambda: client.with_options(timeout=common.TIMEOUT).chat.completions.create(**ask),
})
