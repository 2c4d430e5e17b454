// Starts `watchbill dev` with a database of its own on free ports, and gives it something to show.
import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const adminToken = "page-test-admin";
const ingestToken = "page-test-ingest";

// Names as an enemy would choose them: markup, a formula, a bidirectional override, a terminal escape.
export const hostile = "<img src=x onerror=alert(1)>=cmd|'/c'!A1\u202egnp.exe";

/** The user of hostile executions: ids of users are plain. */
export const hostileUser = hostile.replace(/[^\x20-\x7e]/g, "");

export async function poll(what, within, probe) {
  const end = Date.now() + within;
  let last;
  while (Date.now() < end) {
    try {
      const result = await probe();
      if (result) return result;
    } catch (error) {
      last = error;
    }
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
  throw new Error(`${what}: not within ${within / 1000} s${last ? ` (${last})` : ""}`);
}

/** Starts an Alertmanager with an alert of each severity, one of them with hostile texts. */
async function startAlertmanager() {
  const alerts = ["critical", "warning", "none"].map((severity, i) => ({
    labels: { alertname: i === 1 ? hostile : `Alert${i}`, severity, service: "x".repeat(200) },
    annotations: {
      summary: hostile.repeat(3),
      runbook_url: i === 1 ? "javascript:alert(1)" : "https://runbooks.example/",
    },
    startsAt: new Date(Date.now() - 3_600_000 * (i + 1)).toISOString(),
    status: { state: i === 2 ? "suppressed" : "active" },
  }));
  const server = createServer((request, response) => {
    response.statusCode = request.url === "/api/v2/alerts" ? 200 : 404;
    response.end(JSON.stringify(alerts));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${server.address().port}`, stop: () => server.close() };
}

/** Starts a server on free ports, with further arguments of `watchbill dev`. */
export async function startServer(...more) {
  const alertmanager = await startAlertmanager();
  const folder = await mkdtemp(join(tmpdir(), "watchbill-page-"));
  const listen = "127.0.0.1:0";
  const child = spawn(
    join(root, "bin", "watchbill"),
    [
      "dev",
      "--data-dir",
      join(folder, "data"),
      "--log-dir",
      join(folder, "logs"),
      "--listen",
      listen,
      "--metrics-listen",
      listen,
      "--otlp-grpc-listen",
      listen,
      "--deploy-every",
      "1s",
      "--execute-every",
      "300ms",
      "--alerts-url",
      alertmanager.url,
      ...more,
    ],
    {
      cwd: folder,
      env: {
        ...process.env,
        ADMIN_TOKEN: adminToken,
        INGEST_TOKEN: ingestToken,
        ENROLLMENT_TOKEN: "page-test-enrollment",
        DATABASE_URL: "",
      },
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  let output = "";
  child.stdout.on("data", (piece) => {
    output += piece;
  });
  child.stderr.on("data", (piece) => {
    output += piece;
  });
  const ended = new Promise((resolve) => child.on("exit", resolve));
  const stop = async () => {
    child.kill("SIGINT");
    await ended;
    alertmanager.stop();
    await rm(folder, { recursive: true, force: true });
  };
  try {
    const url = await poll("the server's start", 180_000, () => {
      if (child.exitCode !== null) throw new Error(`the server ended: ${output}`);
      return /API\s+(http:\S+)/.exec(output)?.[1];
    });
    const link = () => /(http:\S+code=\S+)/.exec(output)?.[1];
    const databasePid = () => Number(/runs as pid (\d+)/.exec(output)?.[1]);
    return { url, adminToken, ingestToken, link, databasePid, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

export async function call({ url }, token, method, path, body) {
  const response = await fetch(url + path, {
    method,
    headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
    body: body && JSON.stringify(body),
  });
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
  return response.json();
}

const hex = (n, length) => n.toString(16).padStart(length, "0");

/** Records a trace, hostile names and a report, and waits until the simulation has made some figures. */
export async function seed(server) {
  const begin = Date.now() - 60_000;
  const trace = hex(begin, 32);
  const span = (n, parent, more) => ({
    user_id: "page-test",
    trace_id: trace,
    span_id: hex(n, 16),
    ...(parent && { parent_span_id: hex(parent, 16) }),
    execution_id: `span-${n}`,
    created_at: new Date(begin + n * 150).toISOString(),
    status: "success",
    session_id: "session-7",
    ...more,
  });
  const model = { kind: "inference", model_used: "gpt-4o", provider: "openai" };
  const executions = [
    span(1, 0, {
      agent_name: "planner",
      execution_time_ms: 4200,
      input_data: { message: "Plan a trip to Lisbon" },
      output_data: { days: 3 },
    }),
    span(2, 1, {
      ...model,
      agent_name: "planner",
      execution_time_ms: 1400,
      input_tokens: 1200,
      output_tokens: 300,
      cache_read_tokens: 800,
    }),
    span(3, 1, {
      kind: "tool",
      agent_name: "search_flights",
      execution_time_ms: 700,
      status: "failure",
      error_message: "the airline answered 503",
    }),
    span(4, 1, { agent_name: "researcher", execution_time_ms: 2100 }),
    span(5, 4, {
      ...model,
      agent_name: "researcher",
      execution_time_ms: 1600,
      input_tokens: 5200,
      output_tokens: 900,
      reasoning_tokens: 400,
    }),
    {
      user_id: hostileUser,
      agent_name: hostile,
      status: "failure",
      error_message: `${hostile} \u001b[31mred`,
      model_used: hostile,
      input_tokens: 10,
      output_tokens: 10,
      execution_time_ms: 12,
      input_data: { [hostile]: hostile },
      execution_id: "hostile",
      created_at: new Date(begin).toISOString(),
    },
  ];
  await call(server, server.ingestToken, "POST", "/api/executions", { executions });
  const id = `hostile-${begin}`;
  const { token } = await call(server, server.adminToken, "POST", "/api/agents", { id, name: hostile });
  await call(server, server.adminToken, "POST", "/api/deployments", {
    agent_ids: [id],
    name: hostile,
    spec: { [hostile]: hostile },
  });
  const hostileDeployment = await runHostile(server, id, token);
  await poll("figures of the simulation", 120_000, async () => {
    const { metrics } = await call(server, server.adminToken, "GET", "/api/admin/metrics?hours=1");
    const { deployments } = await call(server, server.adminToken, "GET", "/api/deployments?status=succeeded");
    return metrics.total_requests > 60 && deployments.length > 3;
  });
  for (const name of ["daily", "hourly"]) {
    await call(server, server.adminToken, "POST", "/api/reports", { name, hours: name === "daily" ? 24 : 1 });
  }
  const { deployments } = await call(server, server.adminToken, "GET", "/api/deployments?status=succeeded");
  const { reports } = await call(server, server.adminToken, "GET", "/api/reports");
  return {
    deployment: deployments[0].id,
    agent: deployments[0].agent_id,
    reports: reports.map((r) => r.id),
    hostileAgent: id,
    hostileDeployment,
  };
}

/** Runs an agent's only deployment to a failure with a hostile message and log. */
async function runHostile(server, agent, token) {
  const { deployments } = await call(server, token, "GET", `/api/deployments/pending/${agent}`);
  const { id } = deployments[0];
  const report = (status, message) =>
    call(server, token, "POST", `/api/deployments/${id}/status`, {
      attempt: 1,
      claim: "page-test",
      status,
      message,
      retryable: false,
    });
  await report("running", hostile);
  const log = `${hostile}\n\u001b[2J<script>alert(1)</script>\n${"x".repeat(50_000)}\n`;
  const sent = await fetch(`${server.url}/api/deployments/${id}/logs?attempt=1&offset=0`, {
    method: "POST",
    headers: { Authorization: `Bearer ${token}`, "Content-Type": "text/plain" },
    body: log,
  });
  if (!sent.ok) throw new Error(`the log was refused: ${sent.status} ${await sent.text()}`);
  await report("failed", `${hostile} \u001b[31mred`);
  return id;
}
