// Walks the page in Chromium against a real server: every view, light and dark, wide and narrow; no error on the
// console, nothing that the content security policy refuses, nothing that axe finds. Screenshots go to SCREENSHOTS.
import { existsSync } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";
import { hostile, poll, seed, startServer } from "./server.mjs";

const folder = process.env.SCREENSHOTS ?? new URL("../screenshots", import.meta.url).pathname;
const only = process.env.ONLY;
const programs = [
  process.env.CHROMIUM,
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
];
const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

let passed = 0;
const faults = [];

async function check(name, run) {
  const start = Date.now();
  try {
    await run();
    passed++;
    console.log(`ok    ${name} (${Date.now() - start} ms)`);
  } catch (error) {
    faults.push(name);
    console.log(`FAIL  ${name}: ${error.message}`);
  }
}

/** Notes what the browser complains about. */
function watch(page, complaints) {
  page.on("console", (message) => {
    if (message.type() !== "error") return;
    const { url } = message.location();
    if (url.endsWith("/api/session") && message.text().includes("401")) return; // nobody is signed in yet
    complaints.push(`console: ${message.text()} ${url}`);
  });
  page.on("pageerror", (error) => complaints.push(`error: ${error.message}`));
  page.on("dialog", (dialog) => {
    complaints.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on("request", (request) => {
    if (!request.url().startsWith("http://127.0.0.1:") && !request.url().startsWith("data:"))
      complaints.push(`request: ${request.url()}`);
  });
}

async function settled(page) {
  await page.waitForFunction(
    () =>
      document.querySelector("main") &&
      !document.querySelector(".skeleton, .loading") &&
      document.querySelector(".panel, form, .failure"),
    undefined,
    { timeout: 30_000 },
  );
}

async function findings(page) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() =>
    globalThis.axe.run(document, {
      runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    }),
  );
  return violations.map(
    (v) =>
      `${v.id} (${v.nodes.length}×): ${v.nodes[0].target.join(" ")} ${v.nodes[0].failureSummary.split("\n")[1] ?? ""}`,
  );
}

function none(list) {
  if (list.length > 0) throw new Error(list.slice(0, 5).join("\n      "));
}

function viewsOf({ deployment, agent, reports }) {
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
    costs: "/ui/costs?w=7d",
    api: "/ui/api?w=1h",
    users: "/ui/users?w=7d",
    user: "/ui/users/page-test",
    reports: "/ui/reports",
    report: `/ui/reports/${reports[0]}`,
    "reports-compared": `/ui/reports/${reports[0]}?with=${reports[1]}`,
    events: "/ui/events",
    settings: "/ui/settings",
  };
}

async function signIn(page, base, token) {
  await page.goto(`${base}/`);
  await page.getByLabel("Token", { exact: true }).fill(token);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor({ timeout: 30_000 });
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
      if (width === 2560 && !["overview", "executions", "costs"].includes(name)) continue;
      await check(`${name}, ${scheme}, ${width} px`, async () => {
        await page.goto(base + path);
        await settled(page);
        await page.waitForTimeout(150); // a chart is drawn in the frame after its data came
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

async function behave(browser, base, token, cookies, views) {
  const context = await browser.newContext({ storageState: cookies, viewport: { width: 1440, height: 900 } });
  const page = await context.newPage();
  const complaints = [];
  watch(page, complaints);

  await check("hostile names are text, their invisible characters written out", async () => {
    await page.goto(`${base}/ui/executions/hostile`);
    await settled(page);
    const text = await page.locator("main").textContent();
    if (!text.includes(hostile.replace("\u202e", "\\u{202e}")))
      throw new Error(`the name is not shown as it is: ${text.slice(0, 200)}`);
    if (["\u202e", "\u001b"].some((c) => text.includes(c)))
      throw new Error("an invisible character is in the page");
    if ((await page.locator("main img").count()) > 0) throw new Error("markup of a name became an element");
    none(complaints.splice(0));
  });

  await check("filters, order and window outlast a reload", async () => {
    await page.goto(`${base}/ui/executions`);
    await settled(page);
    await page.getByLabel("Status", { exact: true }).selectOption("failed");
    await page.getByLabel("Agent", { exact: true }).fill("search_flights");
    await page.getByLabel("Agent", { exact: true }).press("Enter");
    await page.getByLabel("Window", { exact: true }).selectOption("3h");
    await page.waitForURL(/status=failed.*agent=search_flights.*w=3h/);
    await page.reload();
    await settled(page);
    await page.getByRole("link", { name: "page-test" }).first().waitFor({ timeout: 30_000 });
    if ((await page.getByLabel("Status", { exact: true }).inputValue()) !== "failed")
      throw new Error("the filter was lost");
    none(complaints.splice(0));
  });

  await check("a deployment is made by the page", async () => {
    await page.goto(`${base}${views["fleet-agent"]}`);
    await settled(page);
    await page.getByRole("button", { name: "Deploy", exact: true }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Name", { exact: false }).fill("from the page");
    await dialog.getByLabel("Spec").fill('{"image": "app:1"}');
    none(await findings(page));
    await page.screenshot({ path: `${folder}/deploy-dialog.png` });
    await dialog.getByRole("button", { name: "Deploy", exact: true }).click();
    await page.getByRole("link", { name: "from the page" }).waitFor({ timeout: 30_000 });
    none(complaints.splice(0));
  });

  await check("the server's errors are shown in place and pass", async () => {
    let away = true;
    await page.route("**/api/**", (route) => {
      if (!away || route.request().url().endsWith("/api/session")) return route.continue();
      const problem = {
        type: "about:blank",
        title: "Service Unavailable",
        status: 503,
        code: "unavailable",
        detail: "the database cannot be reached",
      };
      return route.fulfill({
        status: 503,
        contentType: "application/problem+json",
        body: JSON.stringify(problem),
      });
    });
    await page.goto(`${base}/ui/overview`);
    await page.getByText("the database cannot be reached").first().waitFor({ timeout: 30_000 });
    await page.screenshot({ path: `${folder}/errors.png`, fullPage: true });
    none(await findings(page));
    away = false;
    await page.getByRole("button", { name: "Refresh now" }).click();
    await poll("the recovery", 30_000, async () => (await page.locator(".failure").count()) === 0);
    await page.unroute("**/api/**");
    complaints.length = 0; // the refusals
  });

  await check("the keyboard reaches the content and the menu", async () => {
    await page.goto(`${base}/ui/costs`);
    await settled(page);
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    if (!(await page.evaluate(() => document.activeElement?.id === "main")))
      throw new Error("the link to the content leads elsewhere");
    await page.getByRole("button", { name: /admin/ }).focus();
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: "Sign out" }).waitFor({ timeout: 30_000 });
    none(await findings(page));
    await page.keyboard.press("Escape");
    none(complaints.splice(0));
  });

  await check("an ended session leads to the sign-in", async () => {
    await context.clearCookies();
    await page.getByRole("button", { name: "Refresh now" }).click();
    await page.getByLabel("Token", { exact: true }).waitFor({ timeout: 30_000 });
  });

  await check("sign-out ends the session", async () => {
    await signIn(page, base, token);
    const before = await context.cookies();
    await page.getByRole("button", { name: /admin/ }).click();
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByLabel("Token", { exact: true }).waitFor({ timeout: 30_000 });
    await context.addCookies(before);
    await page.goto(`${base}/ui/overview`);
    await page.getByLabel("Token", { exact: true }).waitFor({ timeout: 30_000 });
  });
  await context.close();
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

const executablePath = programs.find((p) => p && existsSync(p));
if (!executablePath) throw new Error("no Chromium was found: install it, or name it in CHROMIUM");
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
  const browser = await chromium.launch({
    executablePath,
    args: ["--no-sandbox", "--disable-dev-shm-usage"],
  });
  try {
    const views = viewsOf(made);
    const cookies = await walk(browser, server.url, server.adminToken, views);
    await firstView(browser, server.url, cookies);
    await followLink(browser, server.link?.());
    await behave(browser, server.url, server.adminToken, cookies, views);
  } finally {
    await browser.close();
  }
} finally {
  await server.stop();
}
console.log(`${passed} passed, ${faults.length} failed`);
process.exitCode = faults.length > 0 ? 1 : 0;
