// The AI SDK with providers other than OpenAI and Anthropic, and what it does around calls.
import * as common from "./common.mjs";
const provider = common.tracing();
const { generateText, streamText, embedMany, Output, registerTelemetry } = await import("ai");
const { OpenTelemetry } = await import("@ai-sdk/otel");
const { createGoogleGenerativeAI } = await import("@ai-sdk/google");
const { createAmazonBedrock } = await import("@ai-sdk/amazon-bedrock");
const { createGroq } = await import("@ai-sdk/groq");
const { createOpenAI } = await import("@ai-sdk/openai");
const { z } = await import("zod");
registerTelemetry(new OpenTelemetry({ usage: true }));

const google = createGoogleGenerativeAI({ baseURL: common.mock + "/gemini/v1beta", apiKey: "mock" })("gemini-2.5-flash");
const bedrock = createAmazonBedrock({ baseURL: common.mock + "/bedrock", region: "us-east-1", accessKeyId: "mock", secretAccessKey: "mock" })("anthropic.claude-sonnet-4-5-20250929-v1:0");
const groq = createGroq({ baseURL: common.mock + "/openai/openai/v1", apiKey: "mock" })("llama-3.3-70b-versatile");
const openai = createOpenAI({ baseURL: common.openaiURL });
const ask = (model, more) => generateText({ model, prompt: common.question, maxRetries: 0, telemetry: { isEnabled: true, functionId: "weather" }, ...more });
const stream = (model) => {
  let failure;
  const { textStream } = streamText({ model, prompt: common.question, maxRetries: 0, telemetry: { isEnabled: true, functionId: "weather" }, onError: ({ error }) => { failure = error; } });
  return common.drain(textStream).then(() => { if (failure) throw failure; });
};

await common.run({
  chat_google: () => ask(google),
  stream_google: () => stream(google),
  chat_bedrock: () => ask(bedrock),
  stream_bedrock: () => stream(bedrock),
  chat_groq: () => ask(groq),
  stream_groq: () => stream(groq),
  stream_left: async () => {
    const stop = new AbortController();
    for await (const _ of streamText({ model: openai.chat("gpt-4o"), prompt: common.question, maxRetries: 0, abortSignal: stop.signal, telemetry: { isEnabled: true, functionId: "weather" } }).textStream) stop.abort();
  },
  retry_429: () => ask(openai.chat("gpt-4o"), { maxRetries: 2 }),
  parallel: () => Promise.all([1, 2, 3].map(() => ask(openai.chat("gpt-4o")))),
  object: () => ask(openai.chat("gpt-4o"), { output: Output.object({ schema: z.object({ summary: z.string(), degrees: z.number() }) }) }),
  embeddings_many: () => embedMany({ model: openai.embeddingModel("text-embedding-3-small"), values: ["Paris", "Rome"], telemetry: { isEnabled: true } }),
}, provider);
