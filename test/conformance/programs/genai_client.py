"""Google's client."""
import common

provider = common.tracing()
common.instrument()

from google import genai  # noqa: E402


def client(timeout):
    return genai.Client(api_key="mock", http_options={"base_url": common.GEMINI, "timeout": int(timeout * 1000)})


patient, hasty = client(20), client(common.TIMEOUT)  # they close when they are collected


def models(timeout=20):
    return (patient if timeout == 20 else hasty).models


ask = {"model": "gemini-2.5-flash", "contents": common.QUESTION}
common.run({
    "chat": lambda: models().generate_content(**ask),
    "stream": lambda: list(models().generate_content_stream(**ask)),
    "agent_functions": lambda: models().generate_content(**ask, config={"tools": [common.get_weather]}),
    "http429": lambda: models().generate_content(**ask),
    "timeout": lambda: models(common.TIMEOUT).generate_content(**ask),
}, provider)
