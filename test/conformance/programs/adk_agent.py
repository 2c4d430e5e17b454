"""Google's Agent Development Kit."""
import common

provider = common.tracing()
from google.adk.agents import LlmAgent  # noqa: E402
from google.adk.runners import InMemoryRunner  # noqa: E402
from google.genai import types  # noqa: E402


async def run():
    agent = LlmAgent(name="weather_agent", model="gemini-2.5-flash", instruction="Be brief.", tools=[common.get_weather])
    runner = InMemoryRunner(agent=agent, app_name="weather")
    await runner.session_service.create_session(app_name="weather", user_id=common.USER, session_id=common.SESSION)
    message = types.Content(role="user", parts=[types.Part(text=common.QUESTION)])
    async for event in runner.run_async(user_id=common.USER, session_id=common.SESSION, new_message=message):
        if event.error_code:
            raise RuntimeError(event.error_message)


common.run({"agent_usersession": run, "http429_agent": run}, provider)
