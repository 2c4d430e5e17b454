"""Cohere's client."""
import common

provider = common.tracing()
common.instrument()

import cohere  # noqa: E402

question = [{"role": "user", "content": common.QUESTION}]


def client(timeout=20):
    return cohere.ClientV2(api_key="mock", base_url=common.MOCK + "/cohere", timeout=timeout)


def chat(timeout=20, **more):
    return client(timeout).chat(model="command-r-plus-08-2024", messages=question, request_options={"max_retries": 0}, **more)


def stream():
    return client().chat_stream(model="command-r-plus-08-2024", messages=question)


common.run({
    "chat": chat,
    "stream": lambda: list(stream()),
    "stream_left": lambda: common.leave(stream()),
    "tool_call": lambda: chat(tools=[{"type": "function", "function": common.WEATHER}]),
    "embeddings": lambda: client().embed(model="embed-v4.0", texts=["Paris"], input_type="search_query", embedding_types=["float"]),
    "rerank": lambda: client().rerank(model="rerank-v3.5", query=common.QUESTION, documents=["Paris is sunny.", "Rome is wet."]),
    "http429": chat,
    "timeout": lambda: chat(common.TIMEOUT),
}, provider)
