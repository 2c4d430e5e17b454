// OpenAI's Agents SDK for JavaScript.
import * as common from "./common.mjs";
const provider = common.tracing();
const { OpenAIAgentsInstrumentation } = await import("@arizeai/openinference-instrumentation-openai-agents");
const agents = await import("@openai/agents");
const instrumentation = new OpenAIAgentsInstrumentation({ tracerProvider: provider });
instrumentation.manuallyInstrument?.(agents);
instrumentation.instrument?.(agents);
const { Agent, run, tool, setDefaultOpenAIClient, OpenAIResponsesModel, OpenAIChatCompletionsModel } = agents;
const { default: OpenAI } = await import("openai");
const { z } = await import("zod");

const client = (timeout) => new OpenAI({ maxRetries: 0, timeout });
setDefaultOpenAIClient(client(20_000));
const weather = tool({ name: "get_weather", description: "Tells the weather.", parameters: z.object({ city: z.string() }), execute: common.weather });
const agent = (Model = OpenAIResponsesModel, timeout = 20_000) => new Agent({ name: "weather_agent", instructions: "Be brief.", tools: [weather], model: new Model(client(timeout), "gpt-4o") });
await common.run({
  agent: () => run(agent(), common.question),
  agent_chat: () => run(agent(OpenAIChatCompletionsModel), common.question),
  agent_stream: async () => {
    const result = await run(agent(), common.question, { stream: true });
    await common.drain(result);
    await result.completed;
  },
  http429_agent: () => run(agent(), common.question),
  timeout_agent: () => run(agent(OpenAIResponsesModel, common.timeout), common.question),
}, provider);
