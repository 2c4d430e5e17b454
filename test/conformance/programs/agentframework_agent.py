"""Microsoft's Agent Framework."""
import common

provider = common.tracing()
from agent_framework import Agent  # noqa: E402
from agent_framework.observability import enable_instrumentation  # noqa: E402
from agent_framework.openai import OpenAIChatClient, OpenAIChatCompletionClient  # noqa: E402
from openai import AsyncOpenAI  # noqa: E402

enable_instrumentation(enable_sensitive_data=True)


def agent(kind=OpenAIChatCompletionClient, timeout=20):
    client = kind(model="gpt-4o", async_client=AsyncOpenAI(max_retries=0, timeout=timeout))
    return Agent(client=client, name="weather_agent", instructions="Be brief.", tools=[common.get_weather])


async def stream():
    async for _ in agent().run(common.QUESTION, stream=True):
        pass


common.run({
    "agent": lambda: agent().run(common.QUESTION),
    "agent_responses": lambda: agent(OpenAIChatClient).run(common.QUESTION),
    "agent_stream": stream,
    "http429_agent": lambda: agent().run(common.QUESTION),
    "timeout_agent": lambda: agent(timeout=common.TIMEOUT).run(common.QUESTION),
}, provider)
