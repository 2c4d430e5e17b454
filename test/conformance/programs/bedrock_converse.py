"""boto3's client of Bedrock, by each of its ways to ask."""
import json
import os

os.environ.update(AWS_ACCESS_KEY_ID="mock", AWS_SECRET_ACCESS_KEY="mock", AWS_DEFAULT_REGION="us-east-1")
import common  # noqa: E402

provider = common.tracing()
common.instrument()

import boto3  # noqa: E402
from botocore.config import Config  # noqa: E402

model = "anthropic.claude-sonnet-4-5-20250929-v1:0"
ask = {"modelId": model, "messages": [{"role": "user", "content": [{"text": common.QUESTION}]}]}
body = json.dumps({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 99, "messages": [{"role": "user", "content": common.QUESTION}]})
tools = {"tools": [{"toolSpec": {"name": "get_weather", "description": "Tells the weather.", "inputSchema": {"json": common.WEATHER["parameters"]}}}]}


def client(timeout=20, attempts=1):
    return boto3.client("bedrock-runtime", endpoint_url=common.MOCK + "/bedrock", config=Config(retries={"total_max_attempts": attempts}, read_timeout=timeout))


def invoke():
    return client().invoke_model(modelId=model, body=body)["body"].read()


common.run({
    "chat": lambda: client().converse(**ask),
    "stream": lambda: list(client().converse_stream(**ask)["stream"]),
    "stream_left": lambda: common.leave(client().converse_stream(**ask)["stream"]),
    "invoke": invoke,
    "invoke_stream": lambda: list(client().invoke_model_with_response_stream(modelId=model, body=body)["body"]),
    "tool_call": lambda: client().converse(**ask, toolConfig=tools),
    "retry_429": lambda: client(attempts=3).converse(**ask),
    "http429": lambda: client().converse(**ask),
    "timeout": lambda: client(common.TIMEOUT).converse(**ask),
}, provider)
