"""OpenAI Agents SDK."""
import common

provider = common.tracing()
common.instrument()

from agents import Agent, OpenAIChatCompletionsModel, Runner, function_tool  # noqa: E402
from openai import AsyncOpenAI  # noqa: E402
from agents import OpenAIResponsesModel  # noqa: E402


def agent(kind=OpenAIResponsesModel, timeout=20):
    client = AsyncOpenAI(max_retries=0, timeout=timeout)
    return Agent(name="weather_agent", instructions="Be brief.", tools=[function_tool(common.get_weather)], model=kind(model="gpt-4o", openai_client=client))


async def stream():
    async for _ in Runner.run_streamed(agent(), common.QUESTION).stream_events():
        pass


async def handoff():
    first = Agent(name="desk", instructions="Hand over.", model=agent().model, handoffs=[agent()])
    await Runner.run(first, common.QUESTION)


common.run({
    "agent": lambda: Runner.run(agent(), common.QUESTION),
    "agent_chat": lambda: Runner.run(agent(OpenAIChatCompletionsModel), common.QUESTION),
    "agent_stream": stream,
    "http429_agent": lambda: Runner.run(agent(), common.QUESTION),
    "timeout_agent": lambda: Runner.run(agent(timeout=common.TIMEOUT), common.QUESTION),
}, provider)
