"""smolagents."""
import common

provider = common.tracing()
common.instrument()

from smolagents import OpenAIModel, ToolCallingAgent, tool  # noqa: E402


def model(timeout=20):
    return OpenAIModel(model_id="gpt-4o", api_base=common.OPENAI, api_key="sk-mock", client_kwargs={"max_retries": 0, "timeout": timeout}, retry=False)


def agent(timeout=20):
    return ToolCallingAgent(tools=[tool(common.get_weather)], model=model(timeout), name=common.WEATHER["name"].replace("get_", "") + "_agent",
                            description="Tells the weather.", max_steps=4, verbosity_level=0)


def stream():
    a = agent()
    a.stream_outputs = True
    for _ in a.run(common.QUESTION, stream=True):
        pass


common.run({
    "agent": lambda: agent().run(common.QUESTION),
    "agent_stream": stream,
    "chat": lambda: model()([{"role": "user", "content": common.QUESTION}]),
    "http429_agent": lambda: agent().run(common.QUESTION),
    "timeout_agent": lambda: agent(common.TIMEOUT).run(common.QUESTION),
}, provider)
