// Sends a body of some MiB in the ways of Node's clients, and prints a line each: the way and the status.
//
// client.mjs URL TOKEN MIB
import http from 'node:http';

const [url, token, mib] = [process.argv[2], process.argv[3], Number(process.argv[4])];
const headers = {authorization: 'Bearer ' + token, 'content-type': 'application/json'};
const body = Buffer.alloc(mib << 20, ' ');

function send(more, agent) {
  return new Promise((resolve, reject) => {
    const request = http.request(url, {method: 'POST', headers: {...headers, ...more}, agent}, (answer) => {
      answer.resume();
      answer.on('end', () => resolve(answer.statusCode));
    });
    request.on('error', reject);
    const write = () => request.end(body);
    if (more.expect) {
      request.on('continue', write);
      request.flushHeaders();
    } else {
      write();
    }
  });
}

async function report(way, run) {
  try {
    console.log(way, await run());
  } catch (e) {
    console.log(way, e.cause?.code ?? e.code ?? e.name);
  }
}

const agent = new http.Agent({keepAlive: true});
await report('http', () => send({'content-length': body.length}));
await report('http-chunked', () => send({}));
await report('http-expect', () => send({'content-length': body.length, expect: '100-continue'}));
await report('http-kept', async () => {
  await send({'content-length': body.length}, agent);
  return send({'content-length': body.length}, agent);
});
agent.destroy();
if (typeof fetch === 'function') {
  await report('fetch', async () => (await fetch(url, {method: 'POST', headers, body})).status);
}
