#!/usr/bin/env bash
# Langfuse's integration of LangChain counts tokens twice when OpenAI serves from the tier flex or priority. It reports
# the details of langchain-openai as parts of the input and the output, and subtracts each from "input" or "output", so
# that the parts add up to all tokens. On those tiers there is one more detail, named like the tier. Of the input it has
# all tokens but those read from the cache, of the output all but those of reasoning.
#
# - priority: nothing is subtracted, so the parts add up to all tokens twice, and those written to the cache thrice.
# - flex: "input" and "output" are 0, and the tokens written to the cache are in two parts.
#
# "total" is right each time. Langfuse's wrapper of OpenAI's client, for comparison, reports OpenAI's counts unchanged.
#
# Seen with langfuse 5.0.4, langchain 1.5.2, langchain-core 1.8.3, langchain-openai 1.7.4, openai 3.57.0,
# opentelemetry-sdk 1.45.2, Python 3.11.
#
# Each response says 100 input tokens, 40 of them read from the cache and 10 written to it, and 20 output tokens, 5 of
# them of reasoning.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check langfuse==5.0.4 langchain==1.5.2 langchain-core==1.8.3 langchain-openai==1.7.4 openai==3.57.0 \
	opentelemetry-sdk==1.45.2
cat >main.py <<'PY'
import http.server, json, threading

tier = None

class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        answer = {}  # to Langfuse's export
        if self.path.endswith("/chat/completions"):
            answer = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt-5", "service_tier": tier,
                      "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hi"}}],
                      "usage": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120, "prompt_tokens_details": {"cached_tokens": 40, "cache_write_tokens": 10},
                                "completion_tokens_details": {"reasoning_tokens": 5}}}
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args): pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}"

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
spans = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(spans))
from langfuse import Langfuse
Langfuse(public_key="k", secret_key="k", base_url=url, tracer_provider=provider)
from langfuse.langchain import CallbackHandler
from langchain_openai import ChatOpenAI

def told():
    [span] = spans.get_finished_spans()
    spans.clear()
    return json.loads(span.attributes["langfuse.observation.usage_details"])

for tier in ("default", "flex", "priority"):
    ChatOpenAI(model="gpt-5", api_key="k", base_url=url, max_retries=0).invoke("Hi", config={"callbacks": [CallbackHandler()]})
    used = told()
    print(f"LangChain, {tier}: total {used['total']}")
    for side in ("input", "output"):
        parts = {name: used[name] for name in sorted(used) if name.startswith(side)}
        print("  " + " + ".join(f"{name} {n}" for name, n in parts.items()), "=", sum(parts.values()))
import langfuse.openai
langfuse.openai.OpenAI(api_key="k", base_url=url, max_retries=0).chat.completions.create(model="gpt-5", messages=[{"role": "user", "content": "Hi"}])
used = told()
print(f"OpenAI, {tier}:", json.dumps(used, sort_keys=True))
PY
got=$(NO_PROXY='*' no_proxy='*' timeout 120 venv/bin/python -W ignore main.py)
want='LangChain, default: total 120
  input 50 + input_cache_creation 10 + input_cache_read 40 = 100
  output 15 + output_reasoning 5 = 20
LangChain, flex: total 120
  input 0 + input_flex 60 + input_flex_cache_creation 10 + input_flex_cache_read 40 = 110
  output 0 + output_flex 15 + output_flex_reasoning 5 = 20
LangChain, priority: total 120
  input 100 + input_priority 60 + input_priority_cache_creation 10 + input_priority_cache_read 40 = 210
  output 20 + output_priority 15 + output_priority_reasoning 5 = 40
OpenAI, priority: {"completion_tokens": 20, "completion_tokens_details": {"reasoning_tokens": 5}, "prompt_tokens": 100, "prompt_tokens_details": {"cache_write_tokens": 10, "cached_tokens": 40}, "total_tokens": 120}'
echo "$got"
[[ $got == "$want" ]] || { echo "this has changed; it was:"; echo "$want"; exit 1; }
