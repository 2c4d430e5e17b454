"""Pydantic AI, traced by itself or by Logfire, or translated to OpenInference."""
import os

import common

if os.environ["TRACER"] != "openinference":
    provider = common.tracing()
from pydantic_ai import Agent  # noqa: E402

if os.environ["TRACER"] == "logfire":
    import logfire

    logfire.configure(send_to_logfire=False, console=False, inspect_arguments=False)
    logfire.instrument_pydantic_ai()
    provider = logfire
elif os.environ["TRACER"] == "openinference":
    from openinference.instrumentation.pydantic_ai import OpenInferenceSpanProcessor

    provider = common.tracing(OpenInferenceSpanProcessor())
    Agent.instrument_all()
else:
    Agent.instrument_all()

from openai import AsyncOpenAI  # noqa: E402
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel  # noqa: E402
from pydantic_ai.providers.openai import OpenAIProvider  # noqa: E402


def agent(kind=OpenAIChatModel, timeout=20, made=None):
    made = made or kind("gpt-4o", provider=OpenAIProvider(openai_client=AsyncOpenAI(max_retries=0, timeout=timeout)))
    return Agent(made, name="weather_agent", tools=[common.get_weather], instructions="Be brief.", retries=0)


def claude():
    from anthropic import AsyncAnthropic
    from pydantic_ai.models.anthropic import AnthropicModel
    from pydantic_ai.providers.anthropic import AnthropicProvider

    return AnthropicModel("claude-sonnet-4-5", provider=AnthropicProvider(anthropic_client=AsyncAnthropic(max_retries=0)))


def gemini():
    from google.genai import Client
    from pydantic_ai.models.google import GoogleModel
    from pydantic_ai.providers.google import GoogleProvider

    return GoogleModel("gemini-2.5-flash", provider=GoogleProvider(client=Client(api_key="mock", http_options={"base_url": common.GEMINI})))


async def stream():
    async with agent().run_stream(common.QUESTION) as result:
        async for _ in result.stream_text():
            pass


common.run({
    "agent": lambda: agent().run(common.QUESTION),
    "agent_stream": stream,
    "agent_responses": lambda: agent(OpenAIResponsesModel).run(common.QUESTION),
    "agent_anthropic": lambda: agent(made=claude()).run(common.QUESTION),
    "agent_gemini": lambda: agent(made=gemini()).run(common.QUESTION),
    "agent_usersession": lambda: agent().run(common.QUESTION, conversation_id=common.SESSION, metadata={"user_id": common.USER}),
    "http429_agent": lambda: agent().run(common.QUESTION),
    "timeout_agent": lambda: agent(timeout=common.TIMEOUT).run(common.QUESTION),
}, provider)
