"""LiteLLM, traced by OpenInference."""
import common

provider = common.tracing()
from openinference.instrumentation.litellm import LiteLLMInstrumentor  # noqa: E402

LiteLLMInstrumentor().instrument()

import litellm  # noqa: E402

messages = [{"role": "user", "content": common.QUESTION}]


def ask(model="gpt-4o", base=common.OPENAI, timeout=20, **more):
    return litellm.completion(model=model, messages=messages, api_base=base, num_retries=0, max_retries=0, timeout=timeout, **more)


common.run({
    "chat": ask,
    "stream": lambda: list(ask(stream=True, stream_options={"include_usage": True})),
    "chat_anthropic": lambda: ask("anthropic/claude-sonnet-4-5", common.ANTHROPIC),
    "chat_usersession": lambda: ask(user=common.USER, metadata={"session_id": common.SESSION}),
    "embeddings": lambda: litellm.embedding("text-embedding-3-small", input=["Paris"], api_base=common.OPENAI),
    "http429": ask,
    "timeout": lambda: ask(timeout=common.TIMEOUT),
}, provider)
