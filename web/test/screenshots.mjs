// Takes the documentation's pictures of the page, of a server with a history of 30 days, into docs/images.
import { mkdir, writeFile } from "node:fs/promises";
import { launch } from "./chromium.mjs";
import { settled, signIn } from "./harness.mjs";
import { call, poll, startServer } from "./server.mjs";

const folder = new URL("../../docs/images", import.meta.url).pathname;
const limit = 120_000; // bytes of a picture

/** A failed run with the most executions in its trace. */
async function failedRun(server) {
  const query = "status=failed&kind=agent&limit=50";
  const { executions } = await call(server, server.adminToken, "GET", `/api/admin/executions?${query}`);
  let best = { executions: 0, path: "" };
  for (const x of executions) {
    const params = new URLSearchParams({ user: x.user_id, at: x.created_at });
    const id = encodeURIComponent(x.execution_id);
    const asked = new URLSearchParams({ user_id: x.user_id, created_at: x.created_at });
    const { trace } = await call(server, server.adminToken, "GET", `/api/admin/executions/${id}?${asked}`);
    if ((trace?.executions ?? 1) > best.executions)
      best = { executions: trace?.executions ?? 1, path: `/ui/executions/${id}?${params}` };
  }
  return best.path;
}

async function shoot(page, file) {
  const client = await page.context().newCDPSession(page);
  const { data } = await client.send("Page.captureScreenshot", { format: "webp", quality: 82 });
  const picture = Buffer.from(data, "base64");
  if (picture.length > limit) throw new Error(`${file} has ${picture.length} bytes, want at most ${limit}`);
  await writeFile(`${folder}/${file}`, picture);
  console.log(`${file}: ${Math.round(picture.length / 1000)} kB`);
}

await mkdir(folder, { recursive: true });
const server = await startServer("--history", "30d", "--execute-every", "20s", "--deploy-every", "1m");
try {
  const views = { overview: "/ui/overview", agents: "/ui/agents?w=7d", execution: await failedRun(server) };
  const browser = await launch();
  try {
    for (const colorScheme of ["light", "dark"]) {
      const context = await browser.newContext({
        viewport: { width: 1280, height: 900 },
        colorScheme,
        timezoneId: "America/New_York",
      });
      const page = await context.newPage();
      await signIn(page, server.url, server.adminToken);
      const online = page.locator(".stat", { hasText: "Online" }).locator(".value");
      await poll("the agents' polls", 120_000, async () => Number(await online.textContent()) >= 20);
      for (const [name, path] of Object.entries(views)) {
        await page.goto(server.url + path);
        await settled(page);
        await poll("the stream", 30_000, () =>
          page.locator(".stream").getByText("Live", { exact: true }).isVisible(),
        );
        await shoot(page, `${name}-${colorScheme}.webp`);
      }
      await context.close();
    }
  } finally {
    await browser.close();
  }
} finally {
  await server.stop();
}
