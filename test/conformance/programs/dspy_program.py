"""DSPy."""
import os
import tempfile

os.environ["DSPY_CACHEDIR"] = tempfile.mkdtemp()
import common  # noqa: E402

provider = common.tracing()
common.instrument()

import dspy  # noqa: E402


def ask(timeout=20):
    lm = dspy.LM("openai/gpt-4o", cache=False, num_retries=0, timeout=timeout, api_base=common.OPENAI, api_key="sk-mock")
    with dspy.context(lm=lm):
        return dspy.ChainOfThought("question -> answer")(question=common.QUESTION)


def plain(timeout=20):
    return dspy.LM("openai/gpt-4o", cache=False, num_retries=0, timeout=timeout, api_base=common.OPENAI, api_key="sk-mock")(common.QUESTION)


common.run({"chat": ask, "chat_plain": plain, "http429": plain, "timeout": lambda: plain(common.TIMEOUT)}, provider)
