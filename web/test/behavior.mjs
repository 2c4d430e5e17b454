// What the page does when people and servers do: filters, errors, the keyboard, sessions.
import { check, findings, folder, none, settled, signIn, watch } from "./harness.mjs";
import { hostile, poll } from "./server.mjs";

export async function behave(browser, base, token, cookies, views) {
  const context = await browser.newContext({ storageState: cookies, viewport: { width: 1440, height: 900 } });
  const page = await context.newPage();
  const complaints = [];
  watch(page, complaints);

  await check("hostile names are text everywhere, their invisible characters written out", async () => {
    let shown = 0;
    for (const [name, path] of Object.entries(views)) {
      await page.goto(base + path);
      await settled(page);
      const text = `${await page.title()} ${await page.locator("body").textContent()}`;
      if (["\u202e", "\u001b"].some((c) => text.includes(c)))
        throw new Error(`${name}: an invisible character is in the page`);
      if ((await page.locator("main img").count()) > 0)
        throw new Error(`${name}: markup of a name became an element`);
      if (text.includes(hostile.slice(0, 20))) shown++;
      else if (name.includes("hostile")) throw new Error(`${name}: the name is not shown`);
    }
    if (shown < 8) throw new Error(`the name is in ${shown} views only`);
    await page.goto(`${base}/ui/executions/hostile`);
    await settled(page);
    const text = await page.locator("main").textContent();
    if (!text.includes(hostile.replace("\u202e", "\\u{202e}")))
      throw new Error(`the name is not shown as it is: ${text.slice(0, 200)}`);
    none(complaints.splice(0));
  });

  await check("a log that is hostile is text", async () => {
    await page.goto(base + views["deployment-hostile"]);
    await page.getByLabel("Log, text").getByText("\\u{1b}[2J").waitFor({ timeout: 30_000 });
    if ((await page.locator("main img").count()) > 0) throw new Error("markup of the log became an element");
    none(complaints.splice(0));
  });

  await check("a window between two times is in the address and survives a reload", async () => {
    await page.goto(`${base}/ui/agents`);
    await settled(page);
    await page.getByLabel("Window", { exact: true }).selectOption("custom");
    await page.getByLabel("From", { exact: true }).fill("2026-01-02T03:04");
    await page.getByLabel("To", { exact: true }).fill("2026-01-02T05:04");
    await page.getByLabel("To", { exact: true }).press("Enter");
    await page.waitForURL((url) => (url.searchParams.get("w") ?? "").startsWith("2026-01-02T"));
    await page.reload();
    await settled(page);
    if ((await page.getByLabel("From", { exact: true }).inputValue()) !== "2026-01-02T03:04")
      throw new Error("the window was lost");
    await page.getByText("02 Jan 2026, 03:04").first().waitFor({ timeout: 30_000 });
    await page.goBack();
    none(await findings(page));
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
