// LangSmith's SDK for JavaScript in its OpenTelemetry mode.
import * as common from "./common.mjs";
Object.assign(process.env, { LANGSMITH_TRACING: "true", LANGSMITH_OTEL_ENABLED: "true", LANGSMITH_API_KEY: "mock", LANGSMITH_ENDPOINT: common.mock });
const provider = common.tracing();
const { initializeOTEL } = await import("langsmith/experimental/otel/setup");
initializeOTEL({ globalTracerProvider: provider });
const { Client } = await import("langsmith");
const tracer = new Client();
const { traceable } = await import("langsmith/traceable");
const { wrapOpenAI } = await import("langsmith/wrappers");
const { default: OpenAI } = await import("openai");
const client = wrapOpenAI(new OpenAI({ maxRetries: 0 }), { client: tracer });
const ask = { model: "gpt-4o", messages: common.messages };
const weather = traceable(common.weather, { name: "get_weather", run_type: "tool", client: tracer });
const agent = traceable(async () => {
  await client.chat.completions.create(ask);
  await weather({ city: "Paris" });
  return (await client.chat.completions.create(ask)).choices[0].message.content;
}, { name: "weather_agent", run_type: "chain", client: tracer, metadata: { user_id: common.user, session_id: common.session } });
await common.run({
  chat: () => client.chat.completions.create(ask),
  stream: async () => common.drain(client.chat.completions.create({ ...ask, stream: true, stream_options: { include_usage: true } })),
  responses: () => client.responses.create({ model: "gpt-4o", input: common.question }),
  agent_usersession: () => agent(common.question),
  http429: () => client.chat.completions.create(ask),
}, {
  forceFlush: async () => {
    await tracer.awaitPendingTraceBatches();
    await provider.forceFlush();
  },
});
