import { afterEach, describe, expect, it } from "vitest";
import { remembered } from "./session";

describe("remembered", () => {
  const now = Date.parse("2026-01-10T12:00:00Z");
  const later = "2026-01-10T13:00:00Z";
  afterEach(() => localStorage.clear());

  it.each([
    ["nothing", null, undefined],
    ["no JSON", "{", undefined],
    ["null", "null", undefined],
    ["no role", JSON.stringify({ expires_at: later }), undefined],
    ["no end", JSON.stringify({ role: "admin" }), undefined],
    ["an end that passed", JSON.stringify({ role: "admin", expires_at: "2026-01-10T11:00:00Z" }), undefined],
    [
      "a session, without a right to write",
      JSON.stringify({ role: "admin", expires_at: later, csrf_token: "x" }),
      { role: "admin", expires_at: later, csrf_token: "" },
    ],
  ])("%s", (_, stored, want) => {
    if (stored !== null) localStorage.setItem("watchbill-session", stored);
    expect(remembered(now)).toEqual(want);
  });
});
