#!/usr/bin/env bash
# OpenLIT sets the operation and the provider of a LangGraph run's span after the run, and not at all when the run
# raised. So a search for failed runs by gen_ai.operation.name finds none that invoke or ainvoke made, and a rate of
# errors by operation is 0. The spans of streamed runs have both either way.
#
# Seen with openlit 1.45.0, langgraph 1.2.24, opentelemetry-sdk 1.45.1, Python 3.11.
#
# The same graph of one node is run to its end, and with a node that raises.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check openlit==1.45.0 langchain==1.5.2 langgraph==1.2.24 opentelemetry-sdk==1.45.1
echo '{}' >prices.json
cat >main.py <<'PY'
import asyncio
from typing import TypedDict

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
spans = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(spans))
trace.set_tracer_provider(provider)
import openlit
openlit.init(disable_metrics=True, disabled_instrumentors=["urllib"], pricing_json="prices.json")
from langgraph.graph import StateGraph, START, END


class State(TypedDict):
    n: int


def work(state):
    if state["n"] < 0:
        raise ValueError("negative")
    return {"n": 1}


graph = StateGraph(State)
graph.add_node("one", work)
graph.add_edge(START, "one")
graph.add_edge("one", END)
app = graph.compile(name="weather")


async def astream(state):
    async for _ in app.astream(state):
        pass


ways = {
    "invoke": app.invoke,
    "ainvoke": lambda state: asyncio.run(app.ainvoke(state)),
    "stream": lambda state: list(app.stream(state)),
    "astream": lambda state: asyncio.run(astream(state)),
}
for way, call in ways.items():
    for n in (0, -1):
        spans.clear()
        try:
            call({"n": n})
        except ValueError:
            pass
        seen = {(s.name, s.status.status_code.name, s.attributes.get("gen_ai.operation.name"), s.attributes.get("gen_ai.provider.name"))
                for s in spans.get_finished_spans() if s.name.startswith("invoke_workflow")}
        for name, status, operation, provider in sorted(seen, key=str):
            print(f"{way}: {name}, {status}, operation {operation}, provider {provider}")
PY
got=$(NO_PROXY='*' no_proxy='*' venv/bin/python -W ignore main.py 2>errors | grep -E '^a?(invoke|stream): ' || { cat errors >&2; exit 1; })
want='invoke: invoke_workflow weather, OK, operation invoke_workflow, provider langgraph
invoke: invoke_workflow weather, ERROR, operation None, provider None
ainvoke: invoke_workflow weather, OK, operation invoke_workflow, provider langgraph
ainvoke: invoke_workflow weather, ERROR, operation None, provider None
stream: invoke_workflow weather stream, OK, operation invoke_workflow, provider langgraph
stream: invoke_workflow weather, OK, operation invoke_workflow, provider langchain
stream: invoke_workflow weather stream, ERROR, operation invoke_workflow, provider langgraph
stream: invoke_workflow weather, ERROR, operation invoke_workflow, provider langchain
astream: invoke_workflow weather stream, OK, operation invoke_workflow, provider langgraph
astream: invoke_workflow weather, OK, operation invoke_workflow, provider langchain
astream: invoke_workflow weather stream, ERROR, operation invoke_workflow, provider langgraph
astream: invoke_workflow weather, ERROR, operation invoke_workflow, provider langchain'
echo "$got"
[[ $got == "$want" ]] || { echo "this has changed; it was:"; echo "$want"; exit 1; }
