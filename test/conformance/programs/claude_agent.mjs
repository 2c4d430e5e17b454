// Claude's Agent SDK, whose program exports its own spans, log records and metrics.
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createSdkMcpServer, query, tool } from "@anthropic-ai/claude-agent-sdk";
import { z } from "zod";
import * as common from "./common.mjs";

const folder = mkdtempSync(join(tmpdir(), "conformance-"));
const weather = createSdkMcpServer({
  name: "weather",
  tools: [tool("get_weather", "Tells the weather in a city.", { city: z.string() }, async () => ({ content: [{ type: "text", text: await common.weather() }] }))],
});
const env = {
  PATH: process.env.PATH, HOME: folder, CLAUDE_CONFIG_DIR: folder,
  ANTHROPIC_API_KEY: "sk-mock", ANTHROPIC_BASE_URL: common.mock + "/anthropic", CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1", ENABLE_TOOL_SEARCH: "false",
};
for (const [name, value] of Object.entries(process.env)) if (/^(OTEL_|CLAUDE_CODE_)/.test(name)) env[name] = value;
env.OTEL_EXPORTER_OTLP_HEADERS = decodeURIComponent(env.OTEL_EXPORTER_OTLP_HEADERS); // which it does not do itself

// ask runs the agent until its program has ended, which exports the remaining data.
async function ask(options = {}) {
  let failed;
  for await (const message of query({
    prompt: common.question,
    options: { cwd: folder, env, model: "claude-sonnet-4-5", mcpServers: { weather }, allowedTools: ["mcp__weather__get_weather"], settingSources: [], stderr: (text) => process.stderr.write(text), ...options },
  })) {
    if (message.type === "result" && message.is_error) failed = new Error(message.result ?? message.subtype);
  }
  if (failed) throw failed;
}

await common.run({
  chat: () => ask(),
  agent: () => ask({ agents: { weather_agent: { description: "Tells the weather.", prompt: "You tell the weather." } }, agent: "weather_agent" }),
  agent_stream: () => ask({ includePartialMessages: true }),
  http429: () => ask({ env: { ...env, CLAUDE_CODE_MAX_RETRIES: "0" } }),
  retry_429: () => ask(),
}, { forceFlush: async () => {} });
