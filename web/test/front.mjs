// A front for a server without sessions: it answers /api/session itself and adds the token of the session to requests.
import { randomBytes } from "node:crypto";
import http from "node:http";

const cookieName = "watchbill_session";

function sessionOf(request) {
  const match = /(?:^|;\s*)watchbill_session=([^;]+)/.exec(request.headers.cookie ?? "");
  return match?.[1] ?? "";
}

function send(response, status, body, headers = {}) {
  response.writeHead(status, { "Content-Type": "application/json", ...headers });
  response.end(body === undefined ? "" : JSON.stringify(body));
}

async function read(request) {
  const pieces = [];
  for await (const piece of request) pieces.push(piece);
  return JSON.parse(Buffer.concat(pieces).toString());
}

function problem(status, code, detail) {
  return { type: "about:blank", title: http.STATUS_CODES[status], status, code, detail };
}

/** Starts the front of the server at a URL, and returns its own URL and a function that stops it. */
export async function startFront(target, adminToken) {
  const sessions = new Map();
  const agent = new http.Agent({ keepAlive: false });

  async function session(request, response) {
    const id = sessionOf(request);
    switch (request.method) {
      case "POST": {
        const { token } = await read(request);
        if (token !== adminToken)
          return send(response, 401, problem(401, "unauthorized", "the token is unknown"));
        const made = randomBytes(16).toString("hex");
        const body = {
          role: "admin",
          csrf_token: randomBytes(16).toString("hex"),
          expires_at: new Date(Date.now() + 12 * 3_600_000).toISOString(),
        };
        sessions.set(made, body);
        return send(response, 200, body, {
          "Set-Cookie": `${cookieName}=${made}; HttpOnly; SameSite=Strict; Path=/`,
        });
      }
      case "DELETE":
        sessions.delete(id);
        response.writeHead(204);
        return response.end();
      default: {
        const known = sessions.get(id);
        if (!known) return send(response, 401, problem(401, "unauthorized", "there is no session"));
        return send(response, 200, known);
      }
    }
  }

  function forward(request, response) {
    const headers = { ...request.headers };
    const known = sessions.get(sessionOf(request));
    if (known) {
      if (request.method !== "GET" && headers["x-csrf-token"] !== known.csrf_token) {
        send(response, 403, problem(403, "forbidden", "the CSRF token is missing"));
        return;
      }
      headers.authorization = `Bearer ${adminToken}`;
    }
    delete headers.cookie;
    const url = new URL(request.url, target);
    const onward = http.request(url, { method: request.method, headers, agent }, (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    onward.on("error", () => {
      if (!response.headersSent)
        send(response, 502, problem(502, "unavailable", "the server cannot be reached"));
      else response.destroy();
    });
    response.on("close", () => onward.destroy());
    request.pipe(onward);
  }

  const server = http.createServer((request, response) => {
    if (new URL(request.url, target).pathname === "/api/session") {
      session(request, response).catch(() =>
        send(response, 400, problem(400, "invalid", "the request is malformed")),
      );
    } else {
      forward(request, response);
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    stop: () =>
      new Promise((resolve) => {
        agent.destroy();
        server.closeAllConnections();
        server.close(resolve);
      }),
  };
}
