#!/usr/bin/env bash
# When a run of smolagents' ToolCallingAgent raises, OpenInference's instrumentation never ends the run's span and leaves
# it current. The failed run is never exported, and all that the process does afterwards becomes part of its trace.
#
# Seen with openinference-instrumentation-smolagents 0.1.43, smolagents 1.26.0, openai 3.57.0, opentelemetry-sdk 1.45.2,
# Python 3.11.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check smolagents==1.26.0 openai==3.57.0 opentelemetry-sdk==1.45.2 openinference-instrumentation-smolagents==0.1.43
cat >main.py <<'PY'
import http.server, threading

class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        body = b'{"error":{"message":"Rate limit reached"}}'
        self.send_response(429)
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
from openinference.instrumentation.smolagents import SmolagentsInstrumentor
SmolagentsInstrumentor().instrument()
from smolagents import OpenAIModel, ToolCallingAgent
model = OpenAIModel(model_id="gpt-4o", api_base=f"http://127.0.0.1:{server.server_port}", api_key="k", client_kwargs={"max_retries": 0}, retry=False)
try:
    ToolCallingAgent(tools=[], model=model, verbosity_level=-1).run("Hi")
except Exception as error:
    print("raised", type(error).__name__)
ended = spans.get_finished_spans()
ids = {s.context.span_id for s in ended}
print("ended:", ", ".join(sorted(s.name for s in ended)))
print("parents that never came:", len({s.parent.span_id for s in ended if s.parent and s.parent.span_id not in ids}))
print("still current:", trace.get_current_span().get_span_context().is_valid, getattr(trace.get_current_span(), "name", ""))
PY
got=$(NO_PROXY='*' no_proxy='*' venv/bin/python -W ignore main.py 2>/dev/null)
want='raised AgentGenerationError
ended: OpenAIModel.generate, Step 1
parents that never came: 1
still current: True ToolCallingAgent.run'
echo "$got"
[[ $got == "$want" ]] || { echo "this has changed; it was:"; echo "$want"; exit 1; }
