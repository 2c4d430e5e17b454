"""LangChain and LangGraph, traced by what TRACER names."""
import os

import common

provider = None
if os.environ["TRACER"] == "langsmith":
    os.environ.update(LANGSMITH_TRACING="true", LANGSMITH_OTEL_ENABLED="true", LANGSMITH_OTEL_ONLY="true", LANGSMITH_API_KEY="mock", LANGSMITH_ENDPOINT=common.MOCK + "/otlp")
    provider = common.tracing()
else:
    provider = common.tracing()
    common.instrument()

from langchain.agents import create_agent  # noqa: E402
from langchain_core.tools import tool  # noqa: E402
from langchain_openai import ChatOpenAI  # noqa: E402


def model(timeout=20, **more):
    return ChatOpenAI(model="gpt-4o", max_retries=0, timeout=timeout, stream_usage=True, **more)


def agent(timeout=20):
    return create_agent(model(timeout), tools=[tool(common.get_weather)], name="weather_agent")


ask = {"messages": [{"role": "user", "content": common.QUESTION}]}


def settle(result):
    try:
        from langchain_core.tracers.langchain import wait_for_all_tracers

        wait_for_all_tracers()
    except ImportError:
        pass
    return result


def guarded(f):
    def call():
        try:
            return f()
        finally:
            settle(None)
    return call


common.run({name: guarded(f) for name, f in {
    "chat": lambda: model().invoke(common.QUESTION),
    "stream": lambda: list(model().stream(common.QUESTION)),
    "stream_left": lambda: common.leave(model().stream(common.QUESTION)),
    "agent_left": lambda: common.leave(agent().stream(ask, stream_mode="messages")),
    "responses": lambda: model(use_responses_api=True).invoke(common.QUESTION),
    "agent": lambda: agent().invoke(ask),
    "agent_stream": lambda: list(agent().stream(ask, stream_mode="messages")),
    "agent_usersession": lambda: agent().invoke(ask, {"metadata": {"user_id": common.USER, "session_id": common.SESSION}}),
    "http429": lambda: model().invoke(common.QUESTION),
    "http429_agent": lambda: agent().invoke(ask),
    "timeout": lambda: model(common.TIMEOUT).invoke(common.QUESTION),
}.items()}, provider)
