#!/usr/bin/env bash
# OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT=true, the value that most guides name, puts no content on the spans of
# OpenTelemetry's instrumentation of the OpenAI client. span_only does.
#
# Seen with opentelemetry-instrumentation-genai-openai 1.3b0, openai 3.57.0, opentelemetry-sdk 1.45.2, Python 3.11.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check openai==3.57.0 opentelemetry-sdk==1.45.2 opentelemetry-instrumentation-genai-openai==1.3b0
cat >main.py <<'PY'
import http.server, json, threading

class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        body = json.dumps({"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt-4o",
                           "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hi"}}],
                           "usage": {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12}}).encode()
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
from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor
OpenAIInstrumentor().instrument()
import openai
openai.OpenAI(api_key="k", base_url=f"http://127.0.0.1:{server.server_port}").chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Hi"}])
[span] = spans.get_finished_spans()
print("messages" if "gen_ai.output.messages" in span.attributes else "none", len(span.events), "events")
PY
run() { NO_PROXY='*' no_proxy='*' venv/bin/python -W ignore main.py 2>/dev/null; }
got=$(
	for value in true span_only; do
		for optin in '' gen_ai_latest_experimental; do
			printf '%s %s: ' "$value" "${optin:-default}"
			OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT=$value OTEL_SEMCONV_STABILITY_OPT_IN=$optin run
		done
	done
)
want='true default: none 0 events
true gen_ai_latest_experimental: none 0 events
span_only default: messages 0 events
span_only gen_ai_latest_experimental: messages 0 events'
echo "$got"
[[ $got == "$want" ]] || { echo "this has changed; it was:"; echo "$want"; exit 1; }
