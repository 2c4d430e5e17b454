"""AutoGen's AgentChat."""
import os

import common

provider = common.tracing()
if os.environ.get("INSTRUMENTOR"):
    common.instrument()

from autogen_agentchat.agents import AssistantAgent  # noqa: E402
from autogen_agentchat.conditions import TextMentionTermination  # noqa: E402
from autogen_agentchat.teams import RoundRobinGroupChat  # noqa: E402
from autogen_ext.models.openai import OpenAIChatCompletionClient  # noqa: E402


def agent(timeout=20, **more):
    client = OpenAIChatCompletionClient(model="gpt-4o", base_url=common.OPENAI, api_key="sk-mock", max_retries=0, timeout=timeout, include_usage=True)
    return AssistantAgent("weather_agent", model_client=client, tools=[common.get_weather], reflect_on_tool_use=True, **more)


async def stream():
    async for _ in agent(model_client_stream=True).run_stream(task=common.QUESTION):
        pass


common.run({
    "agent": lambda: agent().run(task=common.QUESTION),
    "agent_stream": stream,
    "agent_team": lambda: RoundRobinGroupChat([agent()], termination_condition=TextMentionTermination("sunny in Paris"), max_turns=3).run(task=common.QUESTION),
    "http429_agent": lambda: agent().run(task=common.QUESTION),
    "timeout_agent": lambda: agent(common.TIMEOUT).run(task=common.QUESTION),
}, provider)
