"""CrewAI."""
import os

os.environ.update(CREWAI_DISABLE_TELEMETRY="true", CREWAI_TRACING_ENABLED="false", CREWAI_TESTING="true")
import common  # noqa: E402

provider = common.tracing()
common.instrument()

from crewai import Agent, Crew, LLM, Task  # noqa: E402
from crewai.tools import tool  # noqa: E402


def run(timeout=20, stream=False):
    llm = LLM(model="openai/gpt-4o", base_url=common.OPENAI, api_key="sk-mock", timeout=timeout, max_retries=0, stream=stream)
    agent = Agent(role="weather_agent", goal="Tell the weather.", backstory="You know it.", llm=llm, tools=[tool(common.get_weather)], max_retry_limit=0)
    task = Task(description=common.QUESTION, expected_output="A sentence.", agent=agent)
    return Crew(agents=[agent], tasks=[task], name="weather_crew").kickoff()


common.run({
    "agent": run,
    "agent_stream": lambda: run(stream=True),
    "http429_agent": run,
    "timeout_agent": lambda: run(common.TIMEOUT),
}, provider)
