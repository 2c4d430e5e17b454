"""Traceloop's SDK with its decorators."""
import common

provider = common.tracing()
from traceloop.sdk import Traceloop  # noqa: E402
from traceloop.sdk.decorators import agent, tool, workflow  # noqa: E402

Traceloop.init(app_name="conformance", api_endpoint=common.MOCK + "/otlp", telemetry_enabled=False)

import openai  # noqa: E402

client = openai.OpenAI(max_retries=0, timeout=20)
ask = {"model": "gpt-4o", "messages": [{"role": "user", "content": common.QUESTION}]}


@tool(name="get_weather")
def weather(city):
    return common.get_weather(city)


@agent(name="weather_agent")
def answer():
    client.chat.completions.create(**ask)
    weather("Paris")
    return client.chat.completions.create(**ask).choices[0].message.content


@workflow(name="trip")
def trip():
    Traceloop.set_association_properties({"user_id": common.USER, "session_id": common.SESSION})
    return answer()


common.run({
    "chat": lambda: client.chat.completions.create(**ask),
    "agent": answer,
    "agent_usersession": trip,
    "http429": lambda: client.chat.completions.create(**ask),
})
