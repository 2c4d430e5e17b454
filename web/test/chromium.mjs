// The system's Chromium.
import { existsSync } from "node:fs";
import { chromium } from "playwright-core";

const programs = [
  process.env.CHROMIUM,
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
];

export function launch() {
  const executablePath = programs.find((p) => p && existsSync(p));
  if (!executablePath) throw new Error("no Chromium was found: install it, or name it in CHROMIUM");
  return chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
}
