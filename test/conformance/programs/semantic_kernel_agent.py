"""Semantic Kernel for Python."""
import common

provider = common.tracing()
from openai import AsyncOpenAI  # noqa: E402
from semantic_kernel.agents import ChatCompletionAgent  # noqa: E402
from semantic_kernel.connectors.ai.open_ai import OpenAIChatCompletion, OpenAIChatPromptExecutionSettings  # noqa: E402
from semantic_kernel.contents import ChatHistory  # noqa: E402
from semantic_kernel.functions import kernel_function  # noqa: E402


class Weather:
    @kernel_function(name="get_weather", description="Tells the weather in a city.")
    def get_weather(self, city: str) -> str:
        return common.get_weather(city)


def service(timeout=20):
    return OpenAIChatCompletion(ai_model_id="gpt-4o", async_client=AsyncOpenAI(max_retries=0, timeout=timeout))


def agent(timeout=20):
    return ChatCompletionAgent(service=service(timeout), name="weather_agent", instructions="Be brief.", plugins=[Weather()])


async def chat(timeout=20):
    history = ChatHistory()
    history.add_user_message(common.QUESTION)
    await service(timeout).get_chat_message_content(history, OpenAIChatPromptExecutionSettings())


async def stream():
    history = ChatHistory()
    history.add_user_message(common.QUESTION)
    async for _ in service().get_streaming_chat_message_content(history, OpenAIChatPromptExecutionSettings()):
        pass


common.run({
    "chat": chat,
    "stream": stream,
    "agent": lambda: agent().get_response(messages=common.QUESTION),
    "http429_agent": lambda: agent().get_response(messages=common.QUESTION),
    "http429": chat,
    "timeout": lambda: chat(common.TIMEOUT),
}, provider)
