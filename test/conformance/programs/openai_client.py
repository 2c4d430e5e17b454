"""The OpenAI client, instrumented by the module that INSTRUMENTOR names."""
import common

provider = common.tracing()
common.instrument()

import openai  # noqa: E402 - after it is instrumented

client = openai.OpenAI(max_retries=0, timeout=20)
ask = {"model": "gpt-4o", "messages": [{"role": "user", "content": common.QUESTION}]}


def stream():
    for _ in client.chat.completions.create(**ask, stream=True, stream_options={"include_usage": True}):
        pass


def responses_stream():
    for _ in client.responses.create(model="gpt-4o", input=common.QUESTION, stream=True):
        pass


async def chat_async():
    async with openai.AsyncOpenAI(max_retries=0) as other:
        await other.chat.completions.create(**ask)


def usersession():
    from opentelemetry import trace

    with trace.get_tracer("app").start_as_current_span("POST /ask") as span:
        span.set_attribute("user.id", common.USER)
        span.set_attribute("session.id", common.SESSION)
        client.chat.completions.create(**ask)


common.run({
    "chat": lambda: client.chat.completions.create(**ask),
    "chat_async": chat_async,
    "stream": stream,
    "responses": lambda: client.responses.create(model="gpt-4o", input=common.QUESTION),
    "responses_stream": responses_stream,
    "embeddings": lambda: client.embeddings.create(model="text-embedding-3-small", input="Paris"),
    "chat_usersession": usersession,
    "http429": lambda: client.chat.completions.create(**ask),
    "timeout": lambda: client.with_options(timeout=common.TIMEOUT).chat.completions.create(**ask),
}, provider)
