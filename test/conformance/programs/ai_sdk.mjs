// The AI SDK. Version 7 needs its own package for OpenTelemetry.
import * as common from "./common.mjs";
const provider = common.tracing();
const { generateText, streamText, embed, tool, stepCountIs, ...ai } = await import("ai");
const { createOpenAI } = await import("@ai-sdk/openai");
const { createAnthropic } = await import("@ai-sdk/anthropic");
const { z } = await import("zod");

const seven = process.env.AI_SDK === "7";
if (seven) {
  const { OpenTelemetry } = await import("@ai-sdk/otel");
  ai.registerTelemetry(new OpenTelemetry({ usage: true, runtimeContext: true }));
}
const openai = createOpenAI({ baseURL: common.openaiURL });
const anthropic = createAnthropic({ baseURL: common.anthropicURL });
const telemetry = { isEnabled: true, functionId: "weather_agent", metadata: { userId: common.user, sessionId: common.session } };
const base = {
  model: openai.chat("gpt-4o"), prompt: common.question, maxRetries: 0,
  ...(seven ? { telemetry: { ...telemetry, metadata: undefined, includeRuntimeContext: { userId: true, sessionId: true } }, runtimeContext: { userId: common.user, sessionId: common.session } } : { experimental_telemetry: telemetry }),
};
const tools = { get_weather: tool({ description: "Tells the weather.", inputSchema: z.object({ city: z.string() }), execute: common.weather }) };
const loop = { ...base, tools, stopWhen: stepCountIs(4) };
const stream = async (options) => {
  let failure;
  await common.drain(streamText({ ...options, onError: ({ error }) => { failure = error; } }).textStream);
  if (failure) throw failure;
};

await common.run({
  chat: () => generateText(base),
  chat_anthropic: () => generateText({ ...base, model: anthropic("claude-sonnet-4-5") }),
  responses: () => generateText({ ...base, model: openai.responses("gpt-4o") }),
  stream: () => stream(base),
  stream_anthropic: () => stream({ ...base, model: anthropic("claude-sonnet-4-5") }),
  agent_usersession: () => generateText(loop),
  agent_stream: () => stream(loop),
  embeddings: () => embed({ ...base, model: (openai.textEmbeddingModel ?? openai.embeddingModel)("text-embedding-3-small"), value: "Paris" }),
  http429: () => generateText(base),
  timeout: () => generateText({ ...base, abortSignal: AbortSignal.timeout(common.timeout) }),
}, provider);
