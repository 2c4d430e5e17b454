"""Strands."""
import common

provider = common.tracing()
from strands import Agent, tool  # noqa: E402
from strands.models.openai import OpenAIModel  # noqa: E402


def agent(timeout=20):
    model = OpenAIModel(client_args={"api_key": "sk-mock", "base_url": common.OPENAI, "max_retries": 0, "timeout": timeout}, model_id="gpt-4o")
    return Agent(name="weather_agent", model=model, tools=[tool(common.get_weather)], callback_handler=None, retry_strategy=None,
                 trace_attributes={"user.id": common.USER, "session.id": common.SESSION})


common.run({
    "agent_usersession": lambda: agent()(common.QUESTION),
    "http429_agent": lambda: agent()(common.QUESTION),
    "timeout_agent": lambda: agent(common.TIMEOUT)(common.QUESTION),
}, provider)
