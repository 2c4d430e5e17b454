#!/usr/bin/env bash
# OpenLIT leaves the span of a LangGraph stream current when the reader leaves the stream before its end. Whatever the
# thread does afterwards is then in the trace of that run: later requests of others are children of a run that is over.
#
# Seen with openlit 1.45.0, langgraph 1.2.24, Python 3.11.
#
# The graph here is streamed twice, once to its end, once for its first part. Each time the script names the span that
# is current afterwards; it should be none.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check openlit==1.45.0 langchain==1.5.2 langgraph==1.2.24 opentelemetry-sdk==1.45.1
echo '{}' >prices.json
cat >main.py <<'PY'
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
trace.set_tracer_provider(TracerProvider())
import openlit
openlit.init(disable_metrics=True, disabled_instrumentors=["urllib"], pricing_json="prices.json")
from typing import TypedDict
from langgraph.graph import StateGraph, START, END


class State(TypedDict):
    n: int


graph = StateGraph(State)
graph.add_node("one", lambda s: {"n": 1})
graph.add_node("two", lambda s: {"n": 2})
graph.add_edge(START, "one")
graph.add_edge("one", "two")
graph.add_edge("two", END)
app = graph.compile(name="weather")


def current():
    span = trace.get_current_span()
    return getattr(span, "name", "none") if span.get_span_context().is_valid else "none"


list(app.stream({"n": 0}))
print("after a stream that was read:", current())
parts = app.stream({"n": 0})
next(iter(parts))
parts.close()
print("after a stream that was left:", current())
PY
got=$(NO_PROXY='*' no_proxy='*' venv/bin/python -W ignore main.py 2>errors | grep '^after' || { cat errors >&2; exit 1; })
want='after a stream that was read: none
after a stream that was left: invoke_workflow weather stream'
echo "$got"
[[ $got == "$want" ]] || { echo "this has changed; it was:"; echo "$want"; exit 1; }
