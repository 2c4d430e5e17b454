"""The Anthropic client, which traces itself, and the instrumentation that INSTRUMENTOR names, if any."""
import os

import common

provider = common.tracing()
if os.environ.get("INSTRUMENTOR"):
    common.instrument()

import anthropic  # noqa: E402 - after it is instrumented

client = anthropic.Anthropic(max_retries=0, timeout=20)
ask = {"model": "claude-sonnet-4-5", "max_tokens": 50, "messages": [{"role": "user", "content": common.QUESTION}]}


def stream():
    for _ in client.messages.create(**ask, stream=True):
        pass


def stream_helper():
    with client.messages.stream(**ask) as events:
        events.get_final_message()


def count_then_chat():
    client.messages.count_tokens(model=ask["model"], messages=ask["messages"])
    client.messages.create(**ask)


def usersession():
    from opentelemetry import trace

    with trace.get_tracer("app").start_as_current_span("POST /ask") as span:
        span.set_attribute("user.id", common.USER)
        span.set_attribute("session.id", common.SESSION)
        client.messages.create(**ask)


common.run({
    "chat": lambda: client.messages.create(**ask),
    "chat_counted": count_then_chat,
    "stream": stream,
    "stream_helper": stream_helper,
    "chat_usersession": usersession,
    "http429": lambda: client.messages.create(**ask),
    "timeout": lambda: client.with_options(timeout=common.TIMEOUT).messages.create(**ask),
}, provider)
