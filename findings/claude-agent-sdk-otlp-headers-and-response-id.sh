#!/usr/bin/env bash
# The program of Claude's Agent SDK exports its own spans. It differs from OpenTelemetry twice:
#
# - It sends OTEL_EXPORTER_OTLP_HEADERS as written. OpenTelemetry's exporters decode percent-encoding first, so the same
#   value, like "Authorization=Bearer%20k", is another header here, with which a server refuses the export. A space that
#   is not encoded arrives as meant.
# - gen_ai.response.id is the HTTP header request-id, not the id of the message in the response. So it does not match what
#   other instrumentations, or the SDK's own messages, say about the same response.
#
# Seen with @anthropic-ai/claude-agent-sdk 0.3.332, compared with @opentelemetry/exporter-trace-otlp-http 0.301.0,
# Node.js 20.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{"private": true, "type": "module"}' >package.json
npm install --silent --no-audit --no-fund --legacy-peer-deps @anthropic-ai/claude-agent-sdk@0.3.332 zod@4.6.7 @opentelemetry/api@1.10.0 \
	@opentelemetry/sdk-trace@3.1.0 @opentelemetry/exporter-trace-otlp-http@0.301.0 >/dev/null
cat >main.js <<'JS'
import http from "node:http";
import { query } from "@anthropic-ai/claude-agent-sdk";
import { TracerProvider, SimpleSpanProcessor, InMemorySpanExporter } from "@opentelemetry/sdk-trace";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";

const usage = (output) => ({ input_tokens: 60, output_tokens: output });
const events = [
  { type: "message_start", message: { id: "msg_1", type: "message", role: "assistant", model: "claude-sonnet-4-5", content: [], stop_reason: null, stop_sequence: null, usage: usage(1) } },
  { type: "content_block_start", index: 0, content_block: { type: "text", text: "" } },
  { type: "content_block_delta", index: 0, delta: { type: "text_delta", text: "Hi" } },
  { type: "content_block_stop", index: 0 },
  { type: "message_delta", delta: { stop_reason: "end_turn", stop_sequence: null }, usage: usage(20) },
  { type: "message_stop" },
];
let headers, ids;
// The model and the collector are one server.
const server = http.createServer(async (request, response) => {
  const parts = [];
  for await (const part of request) parts.push(part);
  const send = (status, type, body) => response.writeHead(status, { "content-type": type, "request-id": "req_1" }).end(body);
  if (request.url === "/v1/traces") {
    headers.add(request.headers.authorization);
    if (request.headers["content-type"] !== "application/json") return send(200, "application/x-protobuf", "");
    const spans = JSON.parse(Buffer.concat(parts)).resourceSpans.flatMap((r) => r.scopeSpans).flatMap((s) => s.spans);
    for (const a of spans.flatMap((s) => s.attributes)) if (a.key === "gen_ai.response.id") ids.add(a.value.stringValue);
    send(200, "application/json", "{}");
  } else if (request.url.startsWith("/v1/messages/count_tokens")) {
    send(200, "application/json", '{"input_tokens": 60}');
  } else if (request.url.startsWith("/v1/messages")) {
    send(200, "text/event-stream", events.map((e) => `event: ${e.type}\ndata: ${JSON.stringify(e)}\n\n`).join(""));
  } else {
    send(404, "application/json", "{}");
  }
}).listen(0, "127.0.0.1");
await new Promise((done) => server.once("listening", done));
const url = `http://127.0.0.1:${server.address().port}`;

async function agent(protocol, header) {
  [headers, ids] = [new Set(), new Set()];
  const home = process.cwd() + "/home";
  const env = {
    PATH: process.env.PATH, HOME: home, CLAUDE_CONFIG_DIR: home, NO_PROXY: "*", no_proxy: "*", CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
    ANTHROPIC_API_KEY: "k", ANTHROPIC_BASE_URL: url, CLAUDE_CODE_ENABLE_TELEMETRY: "1", CLAUDE_CODE_ENHANCED_TELEMETRY_BETA: "1",
    OTEL_TRACES_EXPORTER: "otlp", OTEL_EXPORTER_OTLP_ENDPOINT: url, OTEL_EXPORTER_OTLP_PROTOCOL: protocol, OTEL_EXPORTER_OTLP_HEADERS: header,
  };
  const messages = new Set();
  for await (const m of query({ prompt: "Hi", options: { cwd: process.cwd(), env, model: "claude-sonnet-4-5", settingSources: [] } }))
    if (m.type === "assistant") messages.add(m.message.id);
  console.log(`agent, ${protocol}, ${header}: ${[...headers]}`);
  if (protocol === "http/json") console.log(`  message ${[...messages]}, gen_ai.response.id ${[...ids]}`);
}

await agent("http/json", "Authorization=Bearer%20k");
await agent("http/protobuf", "Authorization=Bearer%20k");
await agent("http/json", "Authorization=Bearer k");

headers = new Set();
Object.assign(process.env, { OTEL_EXPORTER_OTLP_ENDPOINT: url, OTEL_EXPORTER_OTLP_HEADERS: "Authorization=Bearer%20k" });
const memory = new InMemorySpanExporter();
new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter: memory })] }).getTracer("finding").startSpan("chat").end();
const exporter = new OTLPTraceExporter();
ids = new Set();
await new Promise((done) => exporter.export(memory.getFinishedSpans(), done));
console.log(`OpenTelemetry, ${process.env.OTEL_EXPORTER_OTLP_HEADERS}: ${[...headers]}`);
process.exit(0);
JS
mkdir home
got=$(NO_PROXY='*' no_proxy='*' timeout 120 node main.js)
want='agent, http/json, Authorization=Bearer%20k: Bearer%20k
  message msg_1, gen_ai.response.id req_1
agent, http/protobuf, Authorization=Bearer%20k: Bearer%20k
agent, http/json, Authorization=Bearer k: Bearer k
  message msg_1, gen_ai.response.id req_1
OpenTelemetry, Authorization=Bearer%20k: Bearer k'
echo "$got"
[[ $got == "$want" ]] || { echo "this has changed; it was:"; echo "$want"; exit 1; }
