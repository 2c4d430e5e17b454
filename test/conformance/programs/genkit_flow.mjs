// Genkit, which exports with its own OpenTelemetry SDK.
import * as common from "./common.mjs";
import { genkit, z } from "genkit";
import { enableTelemetry } from "genkit/tracing";
import { openAI } from "@genkit-ai/compat-oai/openai";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { BatchSpanProcessor } from "@opentelemetry/sdk-trace-base";
import { trace } from "@opentelemetry/api";

const processor = new BatchSpanProcessor(new OTLPTraceExporter());
await enableTelemetry({ spanProcessors: [processor] });
const ai = genkit({ plugins: [openAI({ apiKey: "sk-mock", baseURL: common.openaiURL, maxRetries: 0 })], model: openAI.model("gpt-4o") });
const weather = ai.defineTool({ name: "get_weather", description: "Tells the weather.", inputSchema: z.object({ city: z.string() }), outputSchema: z.string() }, common.weather);
const flow = ai.defineFlow("weather_agent", async (question) => (await ai.generate({ prompt: question, tools: [weather] })).text);
await common.run({
  chat: () => ai.generate(common.question),
  stream: async () => {
    const { stream, response } = ai.generateStream(common.question);
    await common.drain(stream);
    await response;
  },
  agent: () => flow(common.question),
  embeddings: () => ai.embed({ embedder: openAI.embedder("text-embedding-3-small"), content: "Paris" }),
  http429: () => ai.generate(common.question),
}, processor);
