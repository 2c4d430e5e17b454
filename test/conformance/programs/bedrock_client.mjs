// AWS' client of Bedrock, instrumented by the library in TRACER.
import { createRequire } from "node:module";
import * as common from "./common.mjs";
const provider = common.tracing();
const { registerInstrumentations } = await import("@opentelemetry/instrumentation");
const [name, type] = {
  traceloop: ["@traceloop/instrumentation-bedrock", "BedrockInstrumentation"],
  openinference: ["@arizeai/openinference-instrumentation-bedrock", "BedrockInstrumentation"],
  otel: ["@opentelemetry/instrumentation-aws-sdk", "AwsInstrumentation"],
}[process.env.TRACER];
registerInstrumentations({ tracerProvider: provider, instrumentations: [new (await import(name))[type]()] });
const { BedrockRuntimeClient, ConverseCommand, ConverseStreamCommand, InvokeModelCommand, InvokeModelWithResponseStreamCommand } = createRequire(import.meta.url)("@aws-sdk/client-bedrock-runtime");

const modelId = "anthropic.claude-sonnet-4-5-20250929-v1:0";
const ask = { modelId, messages: [{ role: "user", content: [{ text: common.question }] }] };
const raw = { modelId, contentType: "application/json", accept: "application/json", body: JSON.stringify({ anthropic_version: "bedrock-2023-05-31", max_tokens: 99, messages: common.messages }) };
const tools = [{ toolSpec: { name: "get_weather", description: "Tells the weather.", inputSchema: { json: { type: "object", properties: { city: { type: "string" } } } } } }];
const { NodeHttpHandler } = createRequire(import.meta.url)("@smithy/node-http-handler");
const client = (more = {}) => new BedrockRuntimeClient({ region: "us-east-1", endpoint: common.mock + "/bedrock", credentials: { accessKeyId: "mock", secretAccessKey: "mock" }, maxAttempts: 1, requestHandler: new NodeHttpHandler(), ...more });
await common.run({
  chat: () => client().send(new ConverseCommand(ask)),
  stream: async () => common.drain((await client().send(new ConverseStreamCommand(ask))).stream),
  invoke: () => client().send(new InvokeModelCommand(raw)),
  invoke_stream: async () => common.drain((await client().send(new InvokeModelWithResponseStreamCommand(raw))).body),
  tool_call: () => client().send(new ConverseCommand({ ...ask, toolConfig: { tools } })),
  retry_429: () => client({ maxAttempts: 3 }).send(new ConverseCommand(ask)),
  http429: () => client().send(new ConverseCommand(ask)),
  timeout: () => client({ requestHandler: new NodeHttpHandler({ requestTimeout: common.timeout, throwOnRequestTimeout: true }) }).send(new ConverseCommand(ask)),
}, provider);
