"""Clients with OpenAI's interface of other providers: Groq, Mistral, Portkey, Together, chosen by CLIENT."""
import os

import common

provider = common.tracing()
common.instrument()
messages = [{"role": "user", "content": common.QUESTION}]
tools = [{"type": "function", "function": common.WEATHER}]


def groq():
    from groq import Groq

    def call(timeout=20, **more):
        return Groq(api_key="mock", base_url=common.MOCK + "/openai", max_retries=0, timeout=timeout).chat.completions.create(
            model="llama-3.3-70b-versatile", messages=messages, **more)

    return call


def mistral():
    try:
        from mistralai.client import Mistral
    except ImportError:
        from mistralai import Mistral  # where it was before

    def call(timeout=20, **more):
        stream = more.pop("stream", False)
        chat = Mistral(api_key="mock", server_url=common.MOCK + "/openai", timeout_ms=int(timeout * 1000), retry_config=None).chat
        return (chat.stream if stream else chat.complete)(model="mistral-large-latest", messages=messages, **more)

    return call


def portkey():
    from portkey_ai import Portkey

    def call(timeout=20, **more):
        return Portkey(api_key="mock", base_url=common.OPENAI, virtual_key="mock", request_timeout=timeout).with_options(max_retries=0, timeout=timeout).chat.completions.create(
            model="gpt-4o", messages=messages, **more)

    return call


def together():
    from together import Together

    def call(timeout=20, **more):
        return Together(api_key="mock", base_url=common.OPENAI, max_retries=0, timeout=timeout).chat.completions.create(
            model="meta-llama/Llama-3.3-70B-Instruct-Turbo", messages=messages, **more)

    return call


call = {"groq": groq, "mistral": mistral, "portkey": portkey, "together": together}[os.environ["CLIENT"]]()
common.run({
    "chat": call,
    "stream": lambda: list(call(stream=True)),
    "tool_call": lambda: call(tools=tools),
    "http429": call,
    "timeout": lambda: call(timeout=common.TIMEOUT),
}, provider)
