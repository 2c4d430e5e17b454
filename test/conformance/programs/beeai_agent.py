"""BeeAI."""
import common

provider = common.tracing()
from openinference.instrumentation.beeai import BeeAIInstrumentor  # noqa: E402

BeeAIInstrumentor().instrument()

from beeai_framework.adapters.openai import OpenAIChatModel  # noqa: E402
from beeai_framework.agents.requirement import RequirementAgent  # noqa: E402
from beeai_framework.backend import UserMessage  # noqa: E402
from beeai_framework.tools import tool  # noqa: E402


def model(timeout=20):
    return OpenAIChatModel("gpt-4o", api_key="sk-mock", base_url=common.OPENAI, settings={"timeout": timeout, "max_retries": 0})


def agent():
    return RequirementAgent(llm=model(), name="weather_agent", tools=[tool(common.get_weather)])


async def chat(timeout=20):
    await model(timeout).run([UserMessage(common.QUESTION)])


async def run():
    await agent().run(common.QUESTION)


common.run({"chat": chat, "agent": run, "http429_agent": run, "http429": chat, "timeout": lambda: chat(common.TIMEOUT)}, provider)
