// VoltAgent, whose own tracing accepts a span processor.
import * as common from "./common.mjs";
import { BatchSpanProcessor } from "@opentelemetry/sdk-trace-node";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
const { Agent, VoltAgentObservability, createTool } = await import("@voltagent/core");
const { createOpenAI } = await import("@ai-sdk/openai");
const { z } = await import("zod");

const processor = new BatchSpanProcessor(new OTLPTraceExporter());
const observability = new VoltAgentObservability({ serviceName: "conformance", spanProcessors: [processor] });
const openai = createOpenAI({ baseURL: common.openaiURL });
const weather = createTool({ name: "get_weather", description: "Tells the weather.", parameters: z.object({ city: z.string() }), execute: common.weather });
const agent = (tools, more) => new Agent({ name: "weather_agent", instructions: "Be brief.", model: openai.chat("gpt-4o"), maxRetries: 0, observability, tools, ...more });
const named = { userId: common.user, conversationId: common.session };
await common.run({
  chat: () => agent([]).generateText(common.question),
  agent: () => agent([weather]).generateText(common.question),
  agent_stream: async () => common.drain((await agent([weather]).streamText(common.question)).textStream),
  agent_usersession: () => agent([weather]).generateText(common.question, named),
  agent_nested: () => new Agent({ name: "weather_agent", instructions: "Be brief.", model: openai.chat("gpt-4o"), maxRetries: 0, observability, tools: [weather], subAgents: [agent([], { name: "writer" })] }).generateText(common.question),
  http429: () => agent([]).generateText(common.question),
  timeout: () => agent([]).generateText(common.question, { abortSignal: AbortSignal.timeout(common.timeout) }),
}, { forceFlush: () => processor.forceFlush() });
