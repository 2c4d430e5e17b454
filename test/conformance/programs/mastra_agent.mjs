// Mastra with its own OpenTelemetry exporter.
import * as common from "./common.mjs";
const { Mastra } = await import("@mastra/core");
const { Agent } = await import("@mastra/core/agent");
const { createTool } = await import("@mastra/core/tools");
const { Observability } = await import("@mastra/observability");
const { OtelExporter } = await import("@mastra/otel-exporter");
const { createOpenAI } = await import("@ai-sdk/openai");
const { OTLPTraceExporter } = await import("@opentelemetry/exporter-trace-otlp-proto");
const { z } = await import("zod");

const exporter = new OtelExporter({ exporter: new OTLPTraceExporter(), signals: { logs: false }, provider: { custom: { endpoint: common.mock + "/otlp/v1/traces" } } });
const openai = createOpenAI({ baseURL: common.openaiURL });
const weather = createTool({ id: "get_weather", description: "Tells the weather.", inputSchema: z.object({ city: z.string() }), execute: common.weather });
const agent = (more) => new Agent({ id: "weather_agent", name: "weather_agent", instructions: "Be brief.", model: openai.chat("gpt-4o"), maxRetries: 0, ...more });
const mastra = new Mastra({
  agents: { plain: agent({}), weather_agent: agent({ tools: { get_weather: weather } }) },
  observability: new Observability({ configs: { default: { serviceName: "conformance", exporters: [exporter] } } }),
  logger: false,
});
const plain = mastra.getAgent("plain");
const looped = mastra.getAgent("weather_agent");
const named = { memory: { thread: common.session, resource: common.user }, tracingOptions: { metadata: { userId: common.user, sessionId: common.session } } };
await common.run({
  chat: () => plain.generate(common.question, { modelSettings: { maxRetries: 0 } }),
  agent: () => looped.generate(common.question),
  agent_stream: async () => common.drain((await looped.stream(common.question)).textStream),
  agent_usersession: () => looped.generate(common.question, named),
  http429: () => plain.generate(common.question, { modelSettings: { maxRetries: 0 } }),
  timeout: () => plain.generate(common.question, { modelSettings: { maxRetries: 0 }, abortSignal: AbortSignal.timeout(common.timeout) }),
}, { forceFlush: () => mastra.observability.getDefaultInstance().flush() });
