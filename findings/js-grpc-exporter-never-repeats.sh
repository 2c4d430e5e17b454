#!/usr/bin/env bash
# OpenTelemetry's gRPC exporters for JavaScript send a batch once. Where the server returns RESOURCE_EXHAUSTED or
# UNAVAILABLE with RetryInfo, the batch is lost, although OTLP's specification says that such an export is
# to be repeated. The exporter over HTTP repeats it.
#
# Seen with @opentelemetry/exporter-trace-otlp-grpc 0.301.0 and @opentelemetry/exporter-trace-otlp-proto 0.301.0,
# @opentelemetry/sdk-trace 3.1.0, @grpc/grpc-js 1.14.7, Node.js 20.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat >package.json <<'JSON'
{"private": true, "type": "commonjs", "dependencies": {
  "@opentelemetry/exporter-trace-otlp-grpc": "0.301.0", "@opentelemetry/exporter-trace-otlp-proto": "0.301.0", "@opentelemetry/sdk-trace": "3.1.0",
  "@grpc/grpc-js": "1.14.7"}}
JSON
npm install --silent --no-audit --no-fund
cat >main.js <<'JS'
const http = require('http');
const grpc = require('@grpc/grpc-js');
const { TracerProvider, SimpleSpanProcessor, InMemorySpanExporter } = require('@opentelemetry/sdk-trace');
const { OTLPTraceExporter: Grpc } = require('@opentelemetry/exporter-trace-otlp-grpc');
const { OTLPTraceExporter: Http } = require('@opentelemetry/exporter-trace-otlp-proto');

// RetryInfo of 10 ms, in a google.rpc.Status of the code.
const details = (code) => {
  const info = Buffer.from([0x0a, 0x04, 0x10, 0x80, 0xad, 0xe2, 0x04].slice(0, 2).concat([0x10, 0x80, 0xad, 0xe2, 0x04].slice(0, 0)));
  const delay = Buffer.from([0x10, 0x80, 0xad, 0xe2, 0x04]);
  const retry = Buffer.concat([Buffer.from([0x0a, delay.length]), delay]);
  const url = Buffer.from('type.googleapis.com/google.rpc.RetryInfo');
  const any = Buffer.concat([Buffer.from([0x0a, url.length]), url, Buffer.from([0x12, retry.length]), retry]);
  return Buffer.concat([Buffer.from([0x08, code, 0x1a, any.length]), any]);
};
const memory = new InMemorySpanExporter();
new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter: memory })] }).getTracer('finding').startSpan('chat gpt-4o').end();
const run = (exporter) => new Promise((done) => exporter.export(memory.getFinishedSpans(), done)).then((result) => exporter.shutdown().then(() => result));

async function main() {
  for (const [name, code] of [['RESOURCE_EXHAUSTED', 8], ['UNAVAILABLE', 14]]) {
    let calls = 0;
    const server = new grpc.Server();
    const raw = (x) => x;
    server.addService({ Export: {
      path: '/opentelemetry.proto.collector.trace.v1.TraceService/Export', requestStream: false, responseStream: false,
      requestSerialize: raw, requestDeserialize: raw, responseSerialize: raw, responseDeserialize: raw } }, {
      Export(call, answer) {
        calls++;
        if (calls > 1) return answer(null, Buffer.alloc(0));
        const metadata = new grpc.Metadata();
        metadata.set('grpc-status-details-bin', details(code));
        answer({ code, details: 'later', metadata });
      } });
    const port = await new Promise((done, failed) => server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (e, p) => e ? failed(e) : done(p)));
    const result = await run(new Grpc({ url: `http://127.0.0.1:${port}` }));
    server.forceShutdown();
    console.log(`gRPC ${name}: calls ${calls}, result ${result.code === 0 ? 'success' : 'failed'}`);
  }
  let calls = 0;
  const server = http.createServer((request, answer) => {
    request.resume().on('end', () => { calls++; answer.writeHead(calls > 1 ? 200 : 429, { 'Retry-After': '1' }).end(); });
  }).listen(0, '127.0.0.1');
  await new Promise((done) => server.once('listening', done));
  const result = await run(new Http({ url: `http://127.0.0.1:${server.address().port}/v1/traces` }));
  server.close();
  console.log(`HTTP 429: calls ${calls}, result ${result.code === 0 ? 'success' : 'failed'}`);
}
main();
JS
sed -i '/const info = /d' main.js
node main.js | tee seen.txt
diff seen.txt - <<'SEEN'
gRPC RESOURCE_EXHAUSTED: calls 1, result failed
gRPC UNAVAILABLE: calls 1, result failed
HTTP 429: calls 2, result success
SEEN
