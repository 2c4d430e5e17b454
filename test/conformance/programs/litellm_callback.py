"""LiteLLM's own callback for OpenTelemetry."""
import common

provider = common.tracing()
import litellm  # noqa: E402

litellm.callbacks = ["otel"]
messages = [{"role": "user", "content": common.QUESTION}]
tools = [{"type": "function", "function": common.WEATHER}]


def ask(model="gpt-4o", base=common.OPENAI, timeout=20, **more):
    return litellm.completion(model=model, messages=messages, api_base=base, max_retries=0, timeout=timeout, **{"num_retries": 0, **more})


def settled(f):
    def call():
        import time
        try:
            return f()
        finally:
            time.sleep(0.5)  # its callbacks run in a separate thread
    return call


common.run({name: settled(f) for name, f in {
    "chat": ask,
    "stream": lambda: list(ask(stream=True, stream_options={"include_usage": True})),
    "chat_anthropic": lambda: ask("anthropic/claude-sonnet-4-5", common.ANTHROPIC),
    "tool_call": lambda: ask(tools=tools),
    "responses": lambda: litellm.responses(model="openai/gpt-4o", input=common.QUESTION, api_base=common.OPENAI),
    "chat_usersession": lambda: ask(user=common.USER, metadata={"session_id": common.SESSION, "user_id": common.USER}),
    "embeddings": lambda: litellm.embedding("text-embedding-3-small", input=["Paris"], api_base=common.OPENAI),
    "retry_429": lambda: ask(num_retries=2),
    "http429": ask,
    "timeout": lambda: ask(timeout=common.TIMEOUT),
}.items()}, provider)
