"""MLflow's tracing of the OpenAI client, exported by OTLP."""
import os

os.environ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] = os.environ["MOCK_URL"] + "/otlp/v1/traces"
os.environ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"] = "http/protobuf"
import common  # noqa: E402
import mlflow  # noqa: E402

mlflow.openai.autolog()
import openai  # noqa: E402

client = openai.OpenAI(max_retries=0, timeout=20)
ask = {"model": "gpt-4o", "messages": [{"role": "user", "content": common.QUESTION}]}


class Flushed:
    def force_flush(self):
        mlflow.flush_trace_async_logging()
        from mlflow.tracing.provider import provider as p

        p.get().force_flush() if hasattr(p.get(), "force_flush") else None


@mlflow.trace(name="get_weather", span_type="TOOL")
def weather(city):
    return common.get_weather(city)


@mlflow.trace(name="weather_agent", span_type="AGENT")
def agent(question):
    mlflow.update_current_trace(metadata={"mlflow.trace.user": common.USER, "mlflow.trace.session": common.SESSION})
    client.chat.completions.create(**ask)
    weather("Paris")
    return client.chat.completions.create(**ask).choices[0].message.content


common.run({
    "chat": lambda: client.chat.completions.create(**ask),
    "stream": lambda: list(client.chat.completions.create(**ask, stream=True, stream_options={"include_usage": True})),
    "responses": lambda: client.responses.create(model="gpt-4o", input=common.QUESTION),
    "embeddings": lambda: client.embeddings.create(model="text-embedding-3-small", input="Paris"),
    "agent_usersession": lambda: agent(common.QUESTION),
    "http429": lambda: client.chat.completions.create(**ask),
    "timeout": lambda: client.with_options(timeout=common.TIMEOUT).chat.completions.create(**ask),
}, Flushed())
