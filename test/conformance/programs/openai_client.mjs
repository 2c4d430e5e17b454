// The OpenAI client, instrumented by the module in INSTRUMENTOR.
import { createRequire } from "node:module";
import * as common from "./common.mjs";
const require = createRequire(import.meta.url);
const provider = common.tracing();
const [module, name] = process.env.INSTRUMENTOR.split("#");
const instrumentation = new (require(module)[name])();
instrumentation.setTracerProvider(provider);
const loggers = await common.logging();
if (loggers) instrumentation.setLoggerProvider(loggers);
const { metrics } = require("@opentelemetry/api");
instrumentation.setMeterProvider?.(metrics.getMeterProvider()); // OpenTelemetry's needs one
const exported = require("openai");
if (instrumentation.manuallyInstrument) instrumentation.manuallyInstrument(exported.OpenAI ?? exported);
const OpenAI = exported.OpenAI ?? exported;

const client = new OpenAI({ maxRetries: 0 });
const ask = { model: "gpt-4o", messages: common.messages };
await common.run({
  chat: () => client.chat.completions.create(ask),
  stream: async () => common.drain(client.chat.completions.create({ ...ask, stream: true, stream_options: { include_usage: true } })),
  responses: () => client.responses.create({ model: "gpt-4o", input: common.question }),
  responses_stream: async () => common.drain(client.responses.create({ model: "gpt-4o", input: common.question, stream: true })),
  embeddings: () => client.embeddings.create({ model: "text-embedding-3-small", input: "Paris" }),
  http429: () => client.chat.completions.create(ask),
  timeout: () => client.chat.completions.create(ask, { timeout: common.timeout }),
}, provider);
