import { describe, expect, it } from "vitest";
import { defaultWindow, interval, parseInterval, windowOf } from "./url";

const now = Date.parse("2026-01-10T12:00:00Z");

describe("windowOf", () => {
  it.each([
    ["1h", "1h", { hours: 1 }, 1],
    ["7d", "7d", { hours: 168 }, 7],
    ["nonsense", "24h", { hours: 24 }, 1],
    ["2026-01-09T12:00Z/2026-01-08T12:00Z", "24h", { hours: 24 }, 1],
    [
      "2026-01-08T12:00Z/2026-01-08T18:00Z",
      "2026-01-08T12:00Z/2026-01-08T18:00Z",
      { from: "2026-01-08T12:00:00.000Z", to: "2026-01-08T18:00:00.000Z" },
      2,
    ],
  ])("takes %s as %s", (text, id, query, days) => {
    const got = windowOf(text, now);
    expect([got.id, got.query, got.days]).toEqual([id, query, days]);
  });
});

describe("defaultWindow", () => {
  it.each([
    ["/overview", "24h"],
    ["/costs", "30d"],
    ["/users/ada", "30d"],
    ["/usersandmore", "24h"],
  ])("of %s is %s", (place, want) => expect(defaultWindow(place)).toBe(want));
});

describe("parseInterval", () => {
  it.each([
    "",
    "/",
    "2026-01-01",
    "2026-01-01/",
    "2026-01-01/2026-01-01",
    "2026-01-02/2026-01-01",
    "2024-01-01/2026-01-01", // longer than the API reads
    "1960-01-01/1960-01-02",
    "2026-01-01/2026-01-02/2026-01-03",
    "<img>/2026-01-02",
  ])("refuses %s", (text) => expect(parseInterval(text)).toBeNull());

  it("reads what interval writes", () => {
    const [from, to] = [new Date("2026-01-01T10:30:00Z"), new Date("2026-01-02T00:00:00Z")];
    expect(parseInterval(interval(from, to))).toEqual({ from, to });
  });
});
