// Measures the page of the server at WATCHBILL_URL in Chromium, as the administrator with ADMIN_TOKEN: the first view with
// an empty cache, and clicks from view to view. The last line of the output is an object with the figures.
import { existsSync } from "node:fs";
import { chromium } from "playwright-core";

const base = process.env.WATCHBILL_URL;
const token = process.env.ADMIN_TOKEN;
const loads = Number(process.env.LOADS ?? 5);
const rounds = Number(process.env.ROUNDS ?? 4);
const programs = [
  process.env.CHROMIUM,
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
];
const program = programs.find((path) => path && existsSync(path));
if (!base || !token || !program)
  throw new Error("set WATCHBILL_URL and ADMIN_TOKEN, and install Chromium or set CHROMIUM");

const filled = () =>
  document.querySelector("main") &&
  document.querySelector(".panel") &&
  !document.querySelector(".skeleton, .loading, .failure");

const quantile = (list, q) =>
  [...list].sort((a, b) => a - b)[Math.min(list.length - 1, Math.floor(list.length * q))];

async function signedIn(browser) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
  const response = await context.request.post(`${base}/api/session`, { data: { token } });
  if (!response.ok()) throw new Error(`sign-in: ${response.status()} ${await response.text()}`);
  return context;
}

/** Opens the page in a context without a cache; returns the milliseconds until it is filled, and the bytes of code. */
async function firstView(browser) {
  const context = await signedIn(browser);
  const page = await context.newPage();
  const network = await context.newCDPSession(page);
  await network.send("Network.enable");
  const code = new Set();
  let bytes = 0;
  network.on("Network.responseReceived", ({ requestId, type }) => {
    if (type === "Script" || type === "Stylesheet") code.add(requestId);
  });
  network.on("Network.loadingFinished", ({ requestId, encodedDataLength }) => {
    if (code.has(requestId)) bytes += encodedDataLength;
  });
  const start = performance.now();
  await page.goto(`${base}/`, { waitUntil: "commit" });
  await page.waitForFunction(filled, undefined, { timeout: 60_000 });
  const took = performance.now() - start;
  await context.close();
  return { took, bytes };
}

/** Clicks through the navigation; returns the milliseconds of each click until the view is filled, by view. */
async function clicks(browser) {
  const context = await signedIn(browser);
  const page = await context.newPage();
  await page.goto(`${base}/`);
  await page.waitForFunction(filled, undefined, { timeout: 60_000 });
  const names = await page.locator("nav a").evaluateAll((all) => all.map((one) => one.getAttribute("href")));
  if (names.length < 2) throw new Error("the page has no navigation");
  const took = {};
  for (let round = 0; round <= rounds; round++) {
    for (const href of names) {
      // Measured in the page, from the click until the first frame that is filled.
      const one = await page.evaluate(
        ([link, isFilled]) =>
          new Promise((resolve, reject) => {
            const target = document.querySelector(`nav a[href="${link}"]`);
            const done = new Function(`return (${isFilled})()`);
            const from = performance.now();
            target.click();
            const look = () => {
              if (location.pathname === new URL(link, location.href).pathname && done())
                resolve(performance.now() - from);
              else if (performance.now() - from > 60_000) reject(new Error(`${link} is not filled`));
              else requestAnimationFrame(look);
            };
            requestAnimationFrame(look);
          }),
        [href, filled.toString()],
      );
      took[href] ??= [];
      if (round > 0) took[href].push(one); // the first loads the view's code
    }
  }
  await context.close();
  return took;
}

const browser = await chromium.launch({ executablePath: program, args: ["--no-sandbox"] });
try {
  const views = [];
  for (let n = 0; n < loads; n++) views.push(await firstView(browser));
  const took = await clicks(browser);
  for (const [href, times] of Object.entries(took))
    console.error(`${href}: ${quantile(times, 0.5).toFixed(0)} ms`);
  console.log(
    JSON.stringify({
      first_ms: quantile(
        views.map((v) => v.took),
        0.5,
      ),
      first_kb: Math.max(...views.map((v) => v.bytes)) / 1000,
      click_p95_ms: quantile(Object.values(took).flat(), 0.95),
    }),
  );
} finally {
  await browser.close();
}
