import { describe, expect, it } from "vitest";
import { fromNanos, nanos, projection, sum } from "./money";

describe("sum", () => {
  it("adds what floats cannot", () => {
    expect(sum([0.1, 0.2])).toBe(0.3);
    expect(sum(Array.from({ length: 1000 }, () => 0.000000001))).toBe(0.000001);
  });
  it("is not known where nothing is", () => {
    expect(sum([])).toBeNull();
    expect(sum([null, null])).toBeNull();
    expect(sum([null, 1.5])).toBe(1.5);
  });
});

describe("nanos", () => {
  it.each([0, 0.000000001, 12.345678901, -0.5, 1_000_000])("keeps %s", (n) =>
    expect(fromNanos(nanos(n))).toBe(n),
  );
});

describe("projection", () => {
  const from = new Date("2026-11-01T00:00:00Z");
  const to = new Date("2026-12-01T00:00:00Z");
  it("goes on as the month began", () =>
    expect(projection(10, from, to, new Date("2026-11-16T00:00:00Z"))).toBe(20));
  it("says nothing in the first hour", () => {
    expect(projection(10, from, to, new Date("2026-11-01T00:59:00Z"))).toBeNull();
  });
});
