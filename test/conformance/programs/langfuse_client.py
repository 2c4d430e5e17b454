"""Langfuse's SDK and its OpenAI client."""
import os

os.environ.update(LANGFUSE_PUBLIC_KEY="pk-mock", LANGFUSE_SECRET_KEY="sk-mock", LANGFUSE_BASE_URL=os.environ["MOCK_URL"])
import common  # noqa: E402

provider = common.tracing()
from langfuse import get_client, propagate_attributes  # noqa: E402
from langfuse.openai import OpenAI  # noqa: E402

langfuse = get_client()
client = OpenAI(max_retries=0, timeout=20)
ask = {"model": "gpt-4o", "messages": [{"role": "user", "content": common.QUESTION}]}


def stream():
    for _ in client.chat.completions.create(**ask, stream=True, stream_options={"include_usage": True}):
        pass


def agent():
    with langfuse.start_as_current_observation(as_type="agent", name="weather_agent", input=common.QUESTION) as run:
        with propagate_attributes(user_id=common.USER, session_id=common.SESSION):
            client.chat.completions.create(**ask)
            with langfuse.start_as_current_observation(as_type="tool", name="get_weather", input={"city": "Paris"}) as tool:
                tool.update(output=common.get_weather("Paris"))
            run.update(output=client.chat.completions.create(**ask).choices[0].message.content)


common.run({
    "chat": lambda: client.chat.completions.create(**ask),
    "stream": stream,
    "responses": lambda: client.responses.create(model="gpt-4o", input=common.QUESTION),
    "embeddings": lambda: client.embeddings.create(model="text-embedding-3-small", input="Paris"),
    "agent_usersession": agent,
    "http429": lambda: client.chat.completions.create(**ask),
    "timeout": lambda: client.with_options(timeout=common.TIMEOUT).chat.completions.create(**ask),
}, provider)
