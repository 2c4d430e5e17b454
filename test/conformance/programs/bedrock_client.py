"""boto3's client of Bedrock."""
import os

os.environ.update(AWS_ACCESS_KEY_ID="mock", AWS_SECRET_ACCESS_KEY="mock", AWS_DEFAULT_REGION="us-east-1")
import common  # noqa: E402

provider = common.tracing()
from openinference.instrumentation.bedrock import BedrockInstrumentor  # noqa: E402

BedrockInstrumentor().instrument()

import boto3  # noqa: E402
from botocore.config import Config  # noqa: E402


def ask(timeout=20):
    client = boto3.client("bedrock-runtime", endpoint_url=common.MOCK + "/bedrock", config=Config(retries={"total_max_attempts": 1}, read_timeout=timeout))
    return client.converse(modelId="anthropic.claude-sonnet-4-5-20250929-v1:0", messages=[{"role": "user", "content": [{"text": common.QUESTION}]}])


common.run({"chat": ask, "http429": ask, "timeout": lambda: ask(common.TIMEOUT)}, provider)
