import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

// In development, requests to the API go to WATCHBILL_SERVER. With ADMIN_TOKEN set they carry it, so that no sign-in is
// needed.
const server = process.env.WATCHBILL_SERVER ?? "http://127.0.0.1:8080";
const token = process.env.ADMIN_TOKEN;

export default defineConfig({
  base: "/ui/",
  plugins: [react()],
  build: {
    outDir: "dist",
    target: "es2022",
    sourcemap: false,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: {
    proxy: {
      "/api": { target: server, headers: token ? { Authorization: `Bearer ${token}` } : {} },
    },
  },
  test: { environment: "jsdom", include: ["src/**/*.test.{ts,tsx}"] },
});
