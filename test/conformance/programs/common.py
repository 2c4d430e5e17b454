"""What the programs share: a tracer provider that exports to the server, and running scenarios one after the other."""
import asyncio
import importlib
import inspect
import os
import sys
import urllib.parse
import urllib.request

MOCK = os.environ["MOCK_URL"]
OPENAI, ANTHROPIC, GEMINI = MOCK + "/openai/v1", MOCK + "/anthropic", MOCK + "/gemini"
USER, SESSION = os.environ["USER_ID"], os.environ["SESSION_ID"]
QUESTION = "What is the weather in Paris?"
TIMEOUT = 1.0

WEATHER = {
    "name": "get_weather",
    "description": "Tells the weather in a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


def get_weather(city: str) -> str:
    """Tells the weather in a city.

    Args:
        city: the city's name
    """
    return "sunny, 21 degrees"


def tracing(*before):
    """Sets up the global tracer provider with the official exporter and batch processor, and returns it. Other processors
    come before it."""
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider()
    for processor in before:
        provider.add_span_processor(processor)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    if os.environ.get("EXPORT_LOGS"):
        logs()
    return provider


def logs():
    """Sets up the global logger provider likewise. Records of Python's logging go there too."""
    import logging

    from opentelemetry import _logs
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor

    provider = LoggerProvider()
    provider.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
    _logs.set_logger_provider(provider)
    logging.getLogger().addHandler(LoggingHandler(logger_provider=provider))
    logging.getLogger().setLevel(logging.INFO)


def instrument():
    """Turns on what INSTRUMENTOR names: OpenLIT, or instrumentors as module:class."""
    if os.environ["INSTRUMENTOR"] == "openlit":
        import openlit

        openlit.init(disable_metrics=True, disabled_instrumentors=["urllib"])
        return
    for one in os.environ["INSTRUMENTOR"].split():
        module, _, name = one.partition(":")
        getattr(importlib.import_module(module), name)().instrument()


def leave(stream):
    """Reads the first part of a stream and closes it."""
    parts = iter(stream)
    next(parts)
    for s in (parts, stream):
        if hasattr(s, "close"):
            s.close()
            return


def post(path):
    urllib.request.urlopen(urllib.request.Request(MOCK + path, data=b"", method="POST"), timeout=30).read()


def flush(provider=None):
    if provider is None:
        from opentelemetry import trace

        provider = trace.get_tracer_provider()
    provider.force_flush()
    if os.environ.get("EXPORT_LOGS"):
        from opentelemetry import _logs

        _logs.get_logger_provider().force_flush()


def run(scenarios, provider=None):
    """Runs the scenarios that the command line names. If one raises, the error is printed and the next runs."""
    for name in sys.argv[1:]:
        post("/scenario/" + name)
        outcome = "ok"
        try:
            result = scenarios[name]()
            if inspect.isawaitable(result):
                asyncio.run(_await(result))
        except Exception as error:  # noqa: BLE001 - whatever a library raises
            outcome = f"{type(error).__name__}: {error}"[:300]
        print(name, outcome, flush=True)
        flush(provider)
        post("/outcome/" + name + "?outcome=" + urllib.parse.quote(outcome))


async def _await(something):
    return await something
