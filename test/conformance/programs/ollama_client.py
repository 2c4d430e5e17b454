"""Ollama's client."""
import common

provider = common.tracing()
common.instrument()

import ollama  # noqa: E402

ask = {"model": "llama3.2:3b", "messages": [{"role": "user", "content": common.QUESTION}]}


def client(timeout=20):
    return ollama.Client(host=common.MOCK + "/ollama", timeout=timeout)


common.run({
    "chat": lambda: client().chat(**ask),
    "stream": lambda: list(client().chat(**ask, stream=True)),
    "stream_left": lambda: common.leave(client().chat(**ask, stream=True)),
    "generate": lambda: client().generate(model="llama3.2:3b", prompt=common.QUESTION),
    "tool_call": lambda: client().chat(**ask, tools=[common.get_weather]),
    "embeddings": lambda: client().embed(model="nomic-embed-text", input="Paris"),
    "http429": lambda: client().chat(**ask),
    "timeout": lambda: client(common.TIMEOUT).chat(**ask),
}, provider)
