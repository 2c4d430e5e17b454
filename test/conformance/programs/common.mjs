// Code shared by the programs: a tracer provider that exports to the server, and a runner of scenarios.
import { NodeTracerProvider, BatchSpanProcessor } from "@opentelemetry/sdk-trace-node";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";

export const mock = process.env.MOCK_URL;
export const openaiURL = mock + "/openai/v1";
export const anthropicURL = mock + "/anthropic/v1";
export const user = process.env.USER_ID;
export const session = process.env.SESSION_ID;
export const question = "What is the weather in Paris?";
export const timeout = 1000;
export const messages = [{ role: "user", content: question }];
export const weather = async () => "sunny, 21 degrees";

// tracing registers the global provider and returns it.
export function tracing() {
  const provider = new NodeTracerProvider({ spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter())] });
  provider.register();
  return provider;
}

let loggers;

// logging returns a logger provider that exports to the server, if the case exports logs. Its packages are the case's.
export async function logging() {
  if (!process.env.EXPORT_LOGS) return undefined;
  const { LoggerProvider, BatchLogRecordProcessor } = await import("@opentelemetry/sdk-logs");
  const { OTLPLogExporter } = await import("@opentelemetry/exporter-logs-otlp-proto");
  loggers = new LoggerProvider({ processors: [new BatchLogRecordProcessor(new OTLPLogExporter())] });
  return loggers;
}

const post = async (path) => {
  const answer = await fetch(mock + path, { method: "POST" });
  if (!answer.ok) throw new Error(path + ": " + answer.status);
};

// run runs the scenarios named on the command line. It reports a scenario's error and continues with the next.
export async function run(scenarios, provider) {
  for (const name of process.argv.slice(2)) {
    await post("/scenario/" + name);
    let outcome = "ok";
    try {
      await scenarios[name]();
    } catch (error) {
      outcome = `${error.name}: ${error.message}`.slice(0, 300);
    }
    console.log(name, outcome);
    await provider.forceFlush();
    await loggers?.forceFlush();
    await post(`/outcome/${name}?outcome=${encodeURIComponent(outcome)}`);
  }
  process.exit(0);
}

// drain reads a stream to its end.
export async function drain(stream) {
  for await (const _ of await stream);
}
