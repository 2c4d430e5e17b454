"""Agno."""
import common

provider = common.tracing()
common.instrument()

from agno.agent import Agent  # noqa: E402
from agno.models.openai import OpenAIChat  # noqa: E402


def agent(timeout=20):
    return Agent(name="weather_agent", model=OpenAIChat(id="gpt-4o", max_retries=0, timeout=timeout), tools=[common.get_weather], telemetry=False)


def stream():
    for _ in agent().run(common.QUESTION, stream=True):
        pass


def must(result):
    if "ERROR" in str(result.status).upper():
        raise RuntimeError(result.content)


common.run({
    "agent": lambda: agent().run(common.QUESTION),
    "agent_stream": stream,
    "agent_usersession": lambda: agent().run(common.QUESTION, user_id=common.USER, session_id=common.SESSION),
    "http429_agent": lambda: must(agent().run(common.QUESTION)),
    "timeout_agent": lambda: must(agent(common.TIMEOUT).run(common.QUESTION)),
}, provider)
