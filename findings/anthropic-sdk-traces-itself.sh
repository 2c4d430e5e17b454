#!/usr/bin/env bash
# Anthropic's client for Python traces its calls as soon as the process has a tracer provider. Nothing has to
# be switched on. So an instrumentation beside it makes a second span of each call.
#
# Seen with anthropic 2.14.0, opentelemetry-sdk 1.45.2, opentelemetry-instrumentation-anthropic 0.62.4, Python 3.11.
#
# - One call of messages.create makes one span without any instrumentation, of the scope com.anthropic.sdk.python.
# - ANTHROPIC_OPEN_TELEMETRY=false turns that off.
# - With OpenLLMetry's instrumentation the call makes two spans in two traces, both with all counts of tokens and the same
#   gen_ai.response.id.
# - messages.count_tokens, which runs no model, makes a span with a model and a provider, and without an operation.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check anthropic==2.14.0 opentelemetry-sdk==1.45.2 opentelemetry-instrumentation-anthropic==0.62.4
cat >main.py <<'PY'
import http.server, json, sys, threading

class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        answer = {"input_tokens": 14} if "count_tokens" in self.path else {
            "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5", "stop_reason": "end_turn", "stop_sequence": None,
            "content": [{"type": "text", "text": "Hi"}], "usage": {"input_tokens": 60, "output_tokens": 20, "cache_read_input_tokens": 40, "cache_creation_input_tokens": 10}}
        body = json.dumps(answer).encode()
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
if "instrument" in sys.argv:
    from opentelemetry.instrumentation.anthropic import AnthropicInstrumentor
    AnthropicInstrumentor().instrument()
import anthropic
client = anthropic.Anthropic(api_key="k", base_url=f"http://127.0.0.1:{server.server_port}")
ask = dict(model="claude-sonnet-4-5", messages=[{"role": "user", "content": "Hi"}])
if "count" in sys.argv:
    client.messages.count_tokens(**ask)
else:
    client.messages.create(max_tokens=9, **ask)
made = spans.get_finished_spans()
print(len(made), "spans in", len({s.context.trace_id for s in made}), "traces")
for s in sorted(made, key=lambda s: s.instrumentation_scope.name):
    a = s.attributes
    print(" ", s.instrumentation_scope.name, a.get("gen_ai.operation.name"), a.get("gen_ai.request.model"), a.get("gen_ai.response.id"),
          a.get("gen_ai.usage.input_tokens"), a.get("gen_ai.usage.output_tokens"))
PY
run() { NO_PROXY='*' no_proxy='*' venv/bin/python -W ignore main.py "$@"; }
got=$(
	echo plain; run
	echo off; ANTHROPIC_OPEN_TELEMETRY=false run
	echo instrumented; run instrument
	echo count_tokens; run count
)
want='plain
1 spans in 1 traces
  com.anthropic.sdk.python chat claude-sonnet-4-5 msg_1 110 20
off
0 spans in 0 traces
instrumented
2 spans in 2 traces
  com.anthropic.sdk.python chat claude-sonnet-4-5 msg_1 110 20
  opentelemetry.instrumentation.anthropic chat claude-sonnet-4-5 msg_1 110 20
count_tokens
1 spans in 1 traces
  com.anthropic.sdk.python None claude-sonnet-4-5 None None None'
echo "$got"
[[ $got == "$want" ]] || { echo "this has changed; it was:"; echo "$want"; exit 1; }
