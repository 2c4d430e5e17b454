// Langfuse's SDK for JavaScript and its OpenAI client.
import * as common from "./common.mjs";
const provider = common.tracing();
const { observeOpenAI } = await import("@langfuse/openai");
const { startActiveObservation, startObservation, propagateAttributes } = await import("@langfuse/tracing");
const { default: OpenAI } = await import("openai");
const client = observeOpenAI(new OpenAI({ maxRetries: 0 }));
const hasty = observeOpenAI(new OpenAI({ maxRetries: 0, timeout: common.timeout }));
const ask = { model: "gpt-4o", messages: common.messages };
await common.run({
  chat: () => client.chat.completions.create(ask),
  stream: async () => common.drain(client.chat.completions.create({ ...ask, stream: true, stream_options: { include_usage: true } })),
  responses: () => client.responses.create({ model: "gpt-4o", input: common.question }),
  embeddings: () => client.embeddings.create({ model: "text-embedding-3-small", input: "Paris" }),
  agent_usersession: () => propagateAttributes({ userId: common.user, sessionId: common.session }, () =>
    startActiveObservation("weather_agent", async (run) => {
      run.update({ input: common.question });
      await client.chat.completions.create(ask);
      startObservation("get_weather", { input: { city: "Paris" } }, { asType: "tool" }).update({ output: await common.weather() }).end();
      const answer = await client.chat.completions.create(ask);
      run.update({ output: answer.choices[0].message.content });
    }, { asType: "agent" })),
  http429: () => client.chat.completions.create(ask),
  timeout: () => hasty.chat.completions.create(ask),
}, provider);
