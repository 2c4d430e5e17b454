"""Instructor, which requests a typed response."""
import common

provider = common.tracing()
from openinference.instrumentation.instructor import InstructorInstrumentor  # noqa: E402
from openinference.instrumentation.openai import OpenAIInstrumentor  # noqa: E402

InstructorInstrumentor().instrument()
OpenAIInstrumentor().instrument()

import instructor  # noqa: E402
import openai  # noqa: E402
from pydantic import BaseModel  # noqa: E402


class Weather(BaseModel):
    summary: str
    degrees: int


def ask(timeout=20):
    client = instructor.from_openai(openai.OpenAI(max_retries=0, timeout=timeout))
    return client.chat.completions.create(
        model="gpt-4o", response_model=Weather, max_retries=1, messages=[{"role": "user", "content": common.QUESTION}])


common.run({"chat": ask, "http429": ask, "timeout": lambda: ask(common.TIMEOUT)}, provider)
