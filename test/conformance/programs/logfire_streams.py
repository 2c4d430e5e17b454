"""Logfire's instrumentations of clients, of which several streams are read in turn."""
import common
import logfire
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace.export import BatchSpanProcessor

logfire.configure(send_to_logfire=False, console=False, additional_span_processors=[BatchSpanProcessor(OTLPSpanExporter())])
logfire.instrument_openai()
logfire.instrument_anthropic()

import anthropic  # noqa: E402
import openai  # noqa: E402

messages = [{"role": "user", "content": common.QUESTION}]


def openai_stream():
    return openai.OpenAI(max_retries=0).chat.completions.create(
        model="gpt-4o", messages=messages, stream=True, stream_options={"include_usage": True})


def anthropic_stream():
    return anthropic.Anthropic(max_retries=0).messages.create(
        model="claude-sonnet-4-5", max_tokens=100, messages=messages, stream=True)


def in_turn(*streams):
    """Reads a part of each, until all have ended."""
    left = [iter(s) for s in streams]
    while left:
        left = [s for s in left if next(s, None) is not None]


def within_a_span():
    with logfire.span("job"):
        in_turn(openai_stream(), openai_stream())


common.run({
    "stream": lambda: in_turn(openai_stream(), openai_stream()),
    "stream_three": lambda: in_turn(openai_stream(), openai_stream(), openai_stream()),
    "stream_anthropic": lambda: in_turn(anthropic_stream(), anthropic_stream()),
    "stream_mixed": lambda: in_turn(openai_stream(), anthropic_stream()),
    "stream_within": within_a_span,
})
