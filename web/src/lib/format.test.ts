import { describe, expect, it } from "vitest";
import { bytes, count, exactUsd, milliseconds, percent, seconds, usd } from "./format";

describe("count", () => {
  it.each([
    [0, "0"],
    [9_999, "9,999"],
    [10_000, "10 k"],
    [1_234_567, "1.23 M"],
    [null, "–"],
  ])("writes %s as %s", (n, want) => expect(count(n)).toBe(want));
});

describe("milliseconds", () => {
  it.each([
    [0, "0 ms"],
    [0.0244, "0.024 ms"],
    [39.21, "39.2 ms"],
    [4200, "4.2 s"],
    [180_000, "3 min"],
  ])("writes %s as %s", (n, want) => expect(milliseconds(n)).toBe(want));
});

describe("seconds", () => {
  it.each([
    [59.6, "60 s"],
    [3_660, "1 h 1 min"],
    [86_400, "1 d"],
    [90_000, "1 d 1 h"],
  ])("writes %s as %s", (n, want) => expect(seconds(n)).toBe(want));
});

describe("percent", () => {
  it.each([
    [1, "100 %"],
    [0.99999, ">99.99 %"],
    [0.00001, "<0.01 %"],
    [0, "0 %"],
    [0.9755, "97.55 %"],
  ])("never rounds a fault away: %s is %s", (n, want) => expect(percent(n)).toBe(want));
});

describe("usd", () => {
  it.each([
    [null, "–"],
    [0, "$0"],
    [0.00045, "$0.0005"],
    [0.00000731, "<$0.0001"],
    [1234.5, "$1,234.50"],
    [-2, "−$2.00"],
  ])("writes %s as %s", (n, want) => expect(usd(n)).toBe(want));
  it("keeps every digit on request", () => {
    expect(exactUsd(0.00000731)).toBe("$0.00000731");
    expect(exactUsd(12)).toBe("$12.00");
    expect(exactUsd(0.1)).toBe("$0.10");
    expect(exactUsd(null)).toBe("not known");
  });
});

describe("bytes", () => {
  it.each([
    [999, "999 B"],
    [1500, "1.5 kB"],
    [2_500_000, "2.5 MB"],
  ])("writes %s as %s", (n, want) => expect(bytes(n)).toBe(want));
});
