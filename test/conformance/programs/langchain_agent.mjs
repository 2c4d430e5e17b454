// LangChain and LangGraph for JavaScript.
import * as common from "./common.mjs";
const provider = common.tracing();
const { LangChainInstrumentation } = await import(process.env.TRACER === "traceloop" ? "@traceloop/instrumentation-langchain" : "@arizeai/openinference-instrumentation-langchain");
const callbacks = await import("@langchain/core/callbacks/manager");
const instrumentation = new LangChainInstrumentation({ tracerProvider: provider });
instrumentation.setTracerProvider(provider);
if (process.env.TRACER === "traceloop") instrumentation.manuallyInstrument({ callbackManagerModule: callbacks });
else instrumentation.manuallyInstrument(callbacks);
const { createAgent, tool } = await import("langchain");
const { ChatOpenAI } = await import("@langchain/openai");
const { z } = await import("zod");

const model = (more = {}) => new ChatOpenAI({ model: "gpt-4o", maxRetries: 0, streamUsage: true, configuration: { baseURL: common.openaiURL }, ...more });
const weather = tool(common.weather, { name: "get_weather", description: "Tells the weather.", schema: z.object({ city: z.string() }) });
const agent = () => createAgent({ model: model(), tools: [weather], name: "weather_agent" });
const ask = { messages: common.messages };
await common.run({
  chat: () => model().invoke(common.question),
  stream: async () => common.drain(model().stream(common.question)),
  responses: () => model({ useResponsesApi: true }).invoke(common.question),
  agent: () => agent().invoke(ask),
  agent_usersession: () => agent().invoke(ask, { metadata: { user_id: common.user, session_id: common.session } }),
  http429: () => model().invoke(common.question),
  http429_agent: () => agent().invoke(ask),
  timeout: () => model({ timeout: common.timeout }).invoke(common.question),
}, provider);
