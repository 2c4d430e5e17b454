#!/usr/bin/env bash
# For the same response of Bedrock, whose prompt was partly cached, OpenTelemetry's instrumentation of botocore and
# OpenInference's instrumentation report different counts of input tokens under names that mean the same: one leaves the
# cached ones out, the other has them in. Neither the names nor the sums say which it is.
#
# Seen with opentelemetry-instrumentation-botocore 0.66b2, openinference-instrumentation-bedrock 0.1.61, boto3 1.44.8,
# opentelemetry-sdk 1.45.2, Python 3.11.
#
# The response says inputTokens 60, cacheReadInputTokens 40, cacheWriteInputTokens 10: the prompt had 110 tokens.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check boto3==1.44.8 opentelemetry-sdk==1.45.2 opentelemetry-instrumentation-botocore==0.66b2 openinference-instrumentation-bedrock==0.1.61
cat >main.py <<'PY'
import http.server, json, sys, threading

class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        body = json.dumps({"output": {"message": {"role": "assistant", "content": [{"text": "Hi"}]}}, "stopReason": "end_turn", "metrics": {"latencyMs": 5},
                           "usage": {"inputTokens": 60, "outputTokens": 20, "totalTokens": 130, "cacheReadInputTokens": 40, "cacheWriteInputTokens": 10}}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args): pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
spans = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(spans))
trace.set_tracer_provider(provider)
if sys.argv[1] == "botocore":
    from opentelemetry.instrumentation.botocore import BotocoreInstrumentor as Instrumentor
else:
    from openinference.instrumentation.bedrock import BedrockInstrumentor as Instrumentor
Instrumentor().instrument()
import boto3
client = boto3.client("bedrock-runtime", region_name="us-east-1", aws_access_key_id="k", aws_secret_access_key="k", endpoint_url=f"http://127.0.0.1:{server.server_port}")
client.converse(modelId="anthropic.claude-sonnet-4-5-20250929-v1:0", messages=[{"role": "user", "content": [{"text": "Hi"}]}])
for span in spans.get_finished_spans():
    for name in ("gen_ai.usage.input_tokens", "llm.token_count.prompt"):
        if name in span.attributes:
            print(sys.argv[1], name, span.attributes[name])
PY
got=$(for which in botocore openinference; do NO_PROXY='*' no_proxy='*' venv/bin/python -W ignore main.py "$which" 2>/dev/null; done)
want='botocore gen_ai.usage.input_tokens 60
openinference llm.token_count.prompt 110'
echo "$got"
[[ $got == "$want" ]] || { echo "this has changed; it was:"; echo "$want"; exit 1; }
