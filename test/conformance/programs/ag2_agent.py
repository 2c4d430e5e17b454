"""AG2, which continues AutoGen 0.2."""
import common

provider = common.tracing()
common.instrument()

from autogen import ConversableAgent, LLMConfig, register_function  # noqa: E402


def run(timeout=20, stream=False):
    config = LLMConfig({"model": "gpt-4o", "api_key": "sk-mock", "base_url": common.OPENAI, "max_retries": 0, "timeout": timeout, "stream": stream}, cache_seed=None)
    agent = ConversableAgent("weather_agent", llm_config=config, human_input_mode="NEVER")
    user = ConversableAgent("user", llm_config=False, human_input_mode="NEVER", is_termination_msg=lambda m: "sunny in Paris" in (m.get("content") or ""))
    register_function(common.get_weather, caller=agent, executor=user, description="Tells the weather in a city.")
    return user.initiate_chat(agent, message=common.QUESTION, max_turns=4)


common.run({
    "agent": run,
    "agent_stream": lambda: run(stream=True),
    "http429_agent": run,
    "timeout_agent": lambda: run(common.TIMEOUT),
}, provider)
