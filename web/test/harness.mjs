// What the tests of the page share: a browser's complaints, axe, waiting, signing in.
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";

export const folder = process.env.SCREENSHOTS ?? new URL("../screenshots", import.meta.url).pathname;
const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

export const results = { passed: 0, faults: [] };

export async function check(name, run) {
  const start = Date.now();
  try {
    await run();
    results.passed++;
    console.log(`ok    ${name} (${Date.now() - start} ms)`);
  } catch (error) {
    results.faults.push(name);
    console.log(`FAIL  ${name}: ${error.message}`);
  }
}

/** Notes what the browser complains about. */
export function watch(page, complaints) {
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

export async function settled(page) {
  await page.waitForFunction(
    () =>
      document.querySelector("main") &&
      !document.querySelector(".skeleton, .loading") &&
      document.querySelector(".panel, form, .failure") &&
      [...document.querySelectorAll(".plot")].every((plot) => plot.querySelector("canvas")),
    undefined,
    { timeout: 30_000 },
  );
}

export async function findings(page) {
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

export function none(list) {
  if (list.length > 0) throw new Error(list.slice(0, 5).join("\n      "));
}

export async function signIn(page, base, token) {
  await page.goto(`${base}/`);
  await page.getByLabel("Token", { exact: true }).fill(token);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor({ timeout: 30_000 });
}
