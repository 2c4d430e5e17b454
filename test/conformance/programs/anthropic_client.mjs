// The Anthropic client, which traces itself.
import * as common from "./common.mjs";
const provider = common.tracing();
const { default: Anthropic } = await import("@anthropic-ai/sdk");
const client = new Anthropic({ maxRetries: 0 });
const ask = { model: "claude-sonnet-4-5", max_tokens: 50, messages: common.messages };
await common.run({
  chat: () => client.messages.create(ask),
  chat_counted: async () => {
    await client.messages.countTokens({ model: ask.model, messages: ask.messages });
    await client.messages.create(ask);
  },
  stream: async () => common.drain(client.messages.create({ ...ask, stream: true })),
  stream_helper: () => client.messages.stream(ask).finalMessage(),
  http429: () => client.messages.create(ask),
  timeout: () => client.messages.create(ask, { timeout: common.timeout }),
}, provider);
