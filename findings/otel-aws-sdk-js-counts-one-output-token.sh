#!/usr/bin/env bash
# OpenTelemetry's instrumentation of AWS' SDK for JavaScript counts one output token for each stream of
# InvokeModelWithResponseStream from a model of Anthropic, whatever the stream used. It reads the count of message_start,
# which is where a stream begins, and not that of message_delta.
#
# Seen with @opentelemetry/instrumentation-aws-sdk 0.79.0, @aws-sdk/client-bedrock-runtime 3.1162.0,
# @opentelemetry/sdk-trace-node 2.12.1, Node 20.
#
# The stream here says output_tokens 1 in message_start and 20 in message_delta, and 20 in Bedrock's own metrics.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{"private": true, "type": "module"}' >package.json
npm install --silent --no-audit --no-fund --ignore-scripts --legacy-peer-deps @opentelemetry/instrumentation-aws-sdk@0.79.0 \
	@aws-sdk/client-bedrock-runtime@3.1162.0 @opentelemetry/instrumentation@0.301.1 @opentelemetry/api@1.10.0 @opentelemetry/sdk-trace-node@2.12.1 >/dev/null
cat >main.js <<'JS'
import http from "node:http";
import { createRequire } from "node:module";
import { crc32 } from "node:zlib";

const frame = (payload) => {
  const text = (s, size) => { const b = Buffer.alloc(size); size === 1 ? b.writeUInt8(s.length) : b.writeUInt16BE(s.length); return Buffer.concat([b, Buffer.from(s)]); };
  const headers = Buffer.concat(Object.entries({ ":event-type": "chunk", ":content-type": "application/json", ":message-type": "event" })
    .map(([name, value]) => Buffer.concat([text(name, 1), Buffer.from([7]), text(value, 2)])));
  const u32 = (n) => { const b = Buffer.alloc(4); b.writeUInt32BE(n >>> 0); return b; };
  const prelude = Buffer.concat([u32(16 + headers.length + payload.length), u32(headers.length)]);
  const message = Buffer.concat([prelude, u32(crc32(prelude)), headers, payload]);
  return Buffer.concat([message, u32(crc32(message))]);
};
const events = [
  { type: "message_start", message: { id: "msg_1", type: "message", role: "assistant", model: "claude", content: [], usage: { input_tokens: 60, output_tokens: 1 } } },
  { type: "content_block_delta", index: 0, delta: { type: "text_delta", text: "Hi" } },
  { type: "message_delta", delta: { stop_reason: "end_turn" }, usage: { output_tokens: 20 } },
  { type: "message_stop", "amazon-bedrock-invocationMetrics": { inputTokenCount: 60, outputTokenCount: 20 } },
];
const server = http.createServer((request, response) => {
  request.resume().on("end", () => {
    response.writeHead(200, { "content-type": "application/vnd.amazon.eventstream" });
    for (const e of events) response.write(frame(Buffer.from(JSON.stringify({ bytes: Buffer.from(JSON.stringify(e)).toString("base64") }))));
    response.end();
  });
}).listen(0, "127.0.0.1", async () => {
  const { NodeTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } = await import("@opentelemetry/sdk-trace-node");
  const spans = new InMemorySpanExporter();
  const provider = new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spans)] });
  provider.register();
  const { AwsInstrumentation } = await import("@opentelemetry/instrumentation-aws-sdk");
  new AwsInstrumentation().setTracerProvider(provider);
  const require = createRequire(import.meta.url);
  const { BedrockRuntimeClient, InvokeModelWithResponseStreamCommand } = require("@aws-sdk/client-bedrock-runtime");
  const { NodeHttpHandler } = require("@smithy/node-http-handler");
  const client = new BedrockRuntimeClient({ region: "us-east-1", endpoint: `http://127.0.0.1:${server.address().port}`, credentials: { accessKeyId: "k", secretAccessKey: "k" }, requestHandler: new NodeHttpHandler() });
  const body = JSON.stringify({ anthropic_version: "bedrock-2023-05-31", max_tokens: 99, messages: [{ role: "user", content: "Hi" }] });
  const answer = await client.send(new InvokeModelWithResponseStreamCommand({ modelId: "anthropic.claude-sonnet-4-5-20250929-v1:0", contentType: "application/json", body }));
  for await (const _ of answer.body);
  for (const { attributes } of spans.getFinishedSpans())
    if (attributes["gen_ai.request.model"]) console.log("input", attributes["gen_ai.usage.input_tokens"], "output", attributes["gen_ai.usage.output_tokens"]);
  process.exit(0);
});
JS
got=$(NO_PROXY='*' no_proxy='*' node main.js 2>/dev/null)
want='input 60 output 1'
echo "$got"
[[ $got == "$want" ]] || { echo "this has changed; it was:"; echo "$want"; exit 1; }
