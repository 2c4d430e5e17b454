"""Haystack."""
import common

provider = common.tracing()
common.instrument()

from haystack import Pipeline  # noqa: E402
from haystack.components.generators.chat import OpenAIChatGenerator  # noqa: E402
from haystack.dataclasses import ChatMessage  # noqa: E402


def ask(timeout=20):
    p = Pipeline()
    p.add_component("llm", OpenAIChatGenerator(model="gpt-4o", max_retries=0, timeout=timeout))
    return p.run({"llm": {"messages": [ChatMessage.from_user(common.QUESTION)]}})


common.run({"chat": ask, "http429": ask, "timeout": lambda: ask(common.TIMEOUT)}, provider)
