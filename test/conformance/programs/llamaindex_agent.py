"""LlamaIndex."""
import common

provider = common.tracing()
common.instrument()

from llama_index.core.agent.workflow import FunctionAgent  # noqa: E402
from llama_index.core.tools import FunctionTool  # noqa: E402
from llama_index.embeddings.openai import OpenAIEmbedding  # noqa: E402
from llama_index.llms.openai import OpenAI  # noqa: E402


def model(timeout=20):
    return OpenAI(model="gpt-4o", api_base=common.OPENAI, max_retries=0, timeout=timeout)


async def agent():
    tools = [FunctionTool.from_defaults(common.get_weather)]
    return str(await FunctionAgent(name="weather_agent", tools=tools, llm=model(), streaming=False).run(common.QUESTION))


async def attributed():
    from openinference.instrumentation import using_attributes

    with using_attributes(user_id=common.USER, session_id=common.SESSION):
        return await agent()


common.run({
    "chat": lambda: model().complete(common.QUESTION),
    "stream": lambda: list(model().stream_complete(common.QUESTION)),
    "stream_left": lambda: common.leave(model().stream_complete(common.QUESTION)),
    "agent": agent,
    "agent_usersession": attributed,
    "embeddings": lambda: OpenAIEmbedding(model="text-embedding-3-small", api_base=common.OPENAI).get_text_embedding("Paris"),
    "http429": lambda: model().complete(common.QUESTION),
    "timeout": lambda: model(common.TIMEOUT).complete(common.QUESTION),
}, provider)
