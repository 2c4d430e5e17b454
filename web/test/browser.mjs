// Walks the page in Chromium against a real server: every view, light and dark, wide and narrow; no error on the
// console, nothing that the content security policy refuses, nothing that axe finds. Screenshots go to SCREENSHOTS.
import { mkdir } from "node:fs/promises";
import { behave } from "./behavior.mjs";
import { launch } from "./chromium.mjs";
import { breakThings } from "./faults.mjs";
import { check, findings, folder, none, results, settled, signIn, watch } from "./harness.mjs";
import { hostileUser, seed, startServer } from "./server.mjs";

const only = process.env.ONLY;

/** A window of two hours between two times. */
function custom() {
  const at = (minutes) => `${new Date(Date.now() - minutes * 60_000).toISOString().slice(0, 16)}Z`;
  return encodeURIComponent(`${at(120)}/${at(0)}`);
}

function viewsOf({ deployment, agent, reports, hostileAgent, hostileDeployment }) {
  return {
    overview: "/ui/overview?w=1h",
    agents: "/ui/agents?w=1h",
    executions: "/ui/executions?w=1h",
    "executions-failed": "/ui/executions?w=1h&status=failed",
    execution: "/ui/executions/span-1",
    "execution-hostile": "/ui/executions/hostile",
    fleet: "/ui/fleet",
    "fleet-agent": `/ui/fleet/${agent}`,
    deployments: "/ui/deployments",
    deployment: `/ui/deployments/${deployment}`,
    "agents-custom": `/ui/agents?w=${custom()}&figure=p95`,
    "fleet-agent-hostile": `/ui/fleet/${hostileAgent}`,
    "deployments-hostile": `/ui/deployments?agent_id=${hostileAgent}`,
    "deployment-hostile": `/ui/deployments/${hostileDeployment}`,
    costs: "/ui/costs?w=7d",
    api: "/ui/api?w=1h",
    users: "/ui/users?w=7d",
    user: "/ui/users/page-test",
    "user-hostile": `/ui/users/${encodeURIComponent(hostileUser)}`,
    "costs-by-agent": "/ui/costs?by=agent",
    "costs-by-user": "/ui/costs?by=user",
    reports: "/ui/reports",
    report: `/ui/reports/${reports[0]}`,
    "reports-compared": `/ui/reports/${reports[0]}?with=${reports[1]}`,
    events: "/ui/events",
    settings: "/ui/settings",
  };
}

const sizes = [
  ["light", 1440, 900],
  ["dark", 1440, 900],
  ["light", 390, 844],
  ["dark", 390, 844],
  ["light", 2560, 1300],
];

async function walk(browser, base, token, views) {
  const state = { cookies: undefined };
  for (const [scheme, width, height] of sizes) {
    const context = await browser.newContext({
      viewport: { width, height },
      colorScheme: scheme,
      storageState: state.cookies,
      timezoneId: "Europe/Berlin",
    });
    await context.addInitScript(() => {
      globalThis.refusals = [];
      document.addEventListener("securitypolicyviolation", (e) =>
        globalThis.refusals.push(`policy: ${e.violatedDirective} ${e.blockedURI}`),
      );
    });
    const page = await context.newPage();
    const complaints = [];
    watch(page, complaints);
    if (!state.cookies) {
      await check("sign-in refuses an unknown token", async () => {
        await page.goto(`${base}/`);
        await page.getByLabel("Token", { exact: true }).fill("no such token");
        await page.getByRole("button", { name: "Sign in" }).click();
        await page.getByText("This token is not known").waitFor({ timeout: 30_000 });
        await page.screenshot({ path: `${folder}/sign-in-${scheme}-${width}.png` });
        none(await findings(page));
        complaints.length = 0; // the refusal
      });
      await check("sign-in", () => signIn(page, base, token));
      state.cookies = await context.storageState();
    }
    for (const [name, path] of Object.entries(views)) {
      if (only && !only.split(",").includes(name)) continue;
      if (width < 1440 && name.startsWith("costs-by")) continue;
      if (width === 2560 && !["overview", "executions", "costs"].includes(name)) continue;
      await check(`${name}, ${scheme}, ${width} px`, async () => {
        await page.goto(base + path);
        await settled(page);
        await page.screenshot({ path: `${folder}/${name}-${scheme}-${width}.png`, fullPage: true });
        const failures = await page.locator(".failure").allTextContents();
        const overflow = await page.evaluate(
          () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
        );
        const refusals = await page.evaluate(() => globalThis.refusals);
        none([
          ...failures,
          ...complaints.splice(0),
          ...refusals,
          ...(overflow > 0 ? [`the page is ${overflow} px too wide`] : []),
        ]);
        none(await findings(page));
      });
    }
    await context.close();
  }
  return state.cookies;
}

async function followLink(browser, link) {
  if (!link) {
    console.log("the server printed no sign-in link");
    return;
  }
  await check("a sign-in link signs in, and once", async () => {
    for (const [heading, wait] of [
      ["Overview", "the first time"],
      [undefined, "again"],
    ]) {
      const context = await browser.newContext();
      const page = await context.newPage();
      await page.goto(link);
      if (heading) await page.getByRole("heading", { level: 1, name: heading }).waitFor({ timeout: 30_000 });
      else await page.getByText("The link has been used or has expired").waitFor({ timeout: 30_000 });
      if (page.url().includes("code=")) throw new Error(`the code is left in the address ${wait}`);
      await context.close();
    }
  });
}

async function firstView(browser, base, cookies) {
  await check("the first view takes at most 250 kB of JavaScript and CSS", async () => {
    const context = await browser.newContext({ storageState: cookies });
    const page = await context.newPage();
    const client = await context.newCDPSession(page);
    await client.send("Network.enable");
    const kinds = new Map();
    let total = 0;
    client.on("Network.responseReceived", ({ requestId, type }) => kinds.set(requestId, type));
    client.on("Network.loadingFinished", ({ requestId, encodedDataLength }) => {
      if (["Script", "Stylesheet"].includes(kinds.get(requestId))) total += encodedDataLength;
    });
    const start = Date.now();
    await page.goto(`${base}/ui/overview`);
    await settled(page);
    console.log(
      `page_first_view_kb ${Math.round(total / 1000)} kB\npage_first_view_ms ${Date.now() - start} ms`,
    );
    await context.close();
    if (total > 250_000) throw new Error(`${Math.round(total / 1000)} kB`);
  });
}

await mkdir(folder, { recursive: true });
// A running server can be named instead of one that is started.
const server = process.env.WATCHBILL_SERVER
  ? {
      url: process.env.WATCHBILL_SERVER,
      adminToken: process.env.ADMIN_TOKEN,
      ingestToken: process.env.INGEST_TOKEN,
      stop: async () => {},
    }
  : await startServer();
try {
  const made = await seed(server);
  const browser = await launch();
  try {
    const views = viewsOf(made);
    await followLink(browser, server.link?.()); // first: it expires
    const cookies = await walk(browser, server.url, server.adminToken, views);
    await firstView(browser, server.url, cookies);
    await behave(browser, server.url, server.adminToken, cookies, views);
    await breakThings(browser, server, made);
  } finally {
    await browser.close();
  }
} finally {
  await server.stop();
}
console.log(`${results.passed} passed, ${results.faults.length} failed`);
process.exitCode = results.faults.length > 0 ? 1 : 0;
