// The page when things break: the connection, the session, the database; and when there are very many agents.
import { readdir, readFile } from "node:fs/promises";
import { startGate } from "./gate.mjs";
import { check, findings, none, settled, signIn, watch } from "./harness.mjs";
import { call, poll } from "./server.mjs";

const long = { timeout: 60_000 };

export async function breakThings(browser, server, { hostileAgent }) {
  const gate = await startGate(server.url);
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
  const page = await context.newPage();
  const complaints = [];
  watch(page, complaints);
  // Requests that fail while something is broken are in order; exceptions are not.
  const calm = () =>
    none(complaints.splice(0).filter((c) => !c.startsWith("console: Failed to load resource")));
  try {
    await signIn(page, gate.url, server.adminToken);
    await breakStream(page, gate, server, hostileAgent, calm);
    await endSession(page, gate, context, server, calm);
    await showManyAgents(page, gate, server, calm);
    if (server.databasePid?.()) await stopDatabase(page, gate, server, calm);
  } finally {
    await context.close();
    await gate.stop();
  }
}

function breakStream(page, gate, server, agent, calm) {
  return check("a broken stream is said to be, and resumes with what happened meanwhile", async () => {
    await page.goto(`${gate.url}/ui/deployments?agent_id=${agent}`);
    await settled(page);
    await page.locator(".stream").getByText("Live", { exact: true }).waitFor(long);
    await page.getByLabel("Refresh every").selectOption("false");
    gate.cut();
    await page.locator(".stream").getByText("Not live").waitFor(long);
    const name = `meanwhile ${Date.now()}`;
    await call(server, server.adminToken, "POST", "/api/deployments", { agent_ids: [agent], name, spec: {} });
    if ((await page.getByRole("link", { name }).count()) > 0) throw new Error("the gate is not cut");
    gate.restore();
    await page.locator(".stream").getByText("Live", { exact: true }).waitFor(long);
    await page.getByRole("link", { name }).waitFor(long);
    await page.getByLabel("Refresh every").selectOption("15000");
    calm();
  });
}

function endSession(page, gate, context, server, calm) {
  return check("a session that ended elsewhere leads to the sign-in, and back to the same view", async () => {
    await page.goto(`${gate.url}/ui/executions?status=failed&w=3h`);
    await settled(page);
    const [cookie] = (await context.cookies()).filter((c) => c.name.includes("session"));
    const headers = { Cookie: `${cookie.name}=${cookie.value}` };
    const { csrf_token } = await (await fetch(`${server.url}/api/session`, { headers })).json();
    const ended = await fetch(`${server.url}/api/session`, {
      method: "DELETE",
      headers: { ...headers, "X-CSRF-Token": csrf_token },
    });
    if (!ended.ok) throw new Error(`the session could not be ended: ${ended.status}`);
    await page.getByRole("button", { name: "Refresh now" }).click();
    await page.getByLabel("Token", { exact: true }).fill(server.adminToken, long);
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("heading", { level: 1, name: "Executions" }).waitFor(long);
    await settled(page);
    if ((await page.getByLabel("Status", { exact: true }).inputValue()) !== "failed")
      throw new Error("the filter was lost");
    calm();
  });
}

const many = 10_000;

function showManyAgents(page, gate, server, calm) {
  return check(`the fleet with ${many} agents more`, async () => {
    await enroll(server);
    const start = Date.now();
    await page.goto(`${gate.url}/ui/fleet?label=fleet%3Dmany`);
    await settled(page);
    console.log(`page_fleet_${many}_ms ${Date.now() - start} ms`);
    const rows = page.getByRole("region", { name: "Agents, table" }).locator("tbody tr");
    if ((await rows.count()) > 500) throw new Error(`${await rows.count()} rows at once`);
    await page.getByRole("link", { name: "many-00000" }).waitFor(long);
    await page.getByRole("button", { name: "Next" }).click();
    await page.getByRole("link", { name: "many-00100" }).waitFor(long);
    none(await findings(page));
    await page.getByLabel("Open an agent").fill("many-09999");
    await page.getByLabel("Open an agent").press("Enter");
    await page.getByRole("heading", { level: 2, name: "many-09999" }).waitFor(long);
    await settled(page);
    calm();
  });
}

async function enroll(server) {
  let next = 0;
  const work = async () => {
    while (next < many) {
      const id = `many-${String(next++).padStart(5, "0")}`;
      await call(server, server.adminToken, "POST", "/api/agents", {
        id,
        name: id,
        labels: { fleet: "many" },
      });
    }
  };
  await Promise.all(Array.from({ length: 16 }, work));
}

function stopDatabase(page, gate, server, calm) {
  return check("without the database the page says so in place, and recovers", async () => {
    await page.goto(`${gate.url}/ui/executions`);
    await settled(page);
    const processes = await family(server.databasePid());
    const signal = (name) => {
      for (const pid of processes) tryKill(pid, name);
    };
    try {
      signal("SIGSTOP");
      await page.getByRole("button", { name: "Refresh now" }).click();
      await page.locator(".failure").first().waitFor({ timeout: 180_000 });
      if (!(await page.getByRole("heading", { level: 1, name: "Executions" }).isVisible()))
        throw new Error("the view is gone");
      none(await findings(page));
    } finally {
      signal("SIGCONT");
    }
    // The page reads again by itself.
    await poll("the recovery", 180_000, async () => (await page.locator(".failure").count()) === 0);
    await settled(page);
    calm();
  });
}

function tryKill(pid, signal) {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (error.code !== "ESRCH") throw error; // a connection that ended meanwhile
  }
}

/** A process and its children, the parent first. */
async function family(parent) {
  const pids = [parent];
  for (const name of await readdir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const stat = await readFile(`/proc/${name}/stat`, "utf8").catch(() => ""); // it may have ended
    if (Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]) === parent) pids.push(Number(name));
  }
  return pids;
}
