// A version of Anthropic's client without tracing, instrumented by the library in TRACER.
import * as common from "./common.mjs";
const provider = common.tracing();
const { default: Anthropic } = await import("@anthropic-ai/sdk");
const module = await import("@anthropic-ai/sdk");
const { AnthropicInstrumentation } = await import({ traceloop: "@traceloop/instrumentation-anthropic", openinference: "@arizeai/openinference-instrumentation-anthropic" }[process.env.TRACER]);
const instrumentation = new AnthropicInstrumentation();
instrumentation.setTracerProvider(provider);
instrumentation.manuallyInstrument(process.env.TRACER === "openinference" ? Anthropic : module);

const client = (more = {}) => new Anthropic({ baseURL: common.mock + "/anthropic", maxRetries: 0, ...more }).messages;
const ask = { model: "claude-sonnet-4-5", max_tokens: 99, messages: common.messages };
const tools = [{ name: "get_weather", description: "Tells the weather.", input_schema: { type: "object", properties: { city: { type: "string" } } } }];
await common.run({
  chat: () => client().create(ask),
  stream: () => common.drain(client().create({ ...ask, stream: true })),
  stream_left: async () => {
    for await (const _ of await client().create({ ...ask, stream: true })) break;
    await new Promise((done) => setTimeout(done, 200)); // the span ends once the rest was read
  },
  tool_call: () => client().create({ ...ask, tools }),
  retry_429: () => client({ maxRetries: 2 }).create(ask),
  http429: () => client().create(ask),
  timeout: () => client({ timeout: common.timeout }).create(ask),
}, provider);
