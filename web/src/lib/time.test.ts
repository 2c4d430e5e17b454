import { describe, expect, it } from "vitest";
import { ago, full, span, withoutYear } from "./time";

const t = (text: string) => new Date(text);

describe("ago", () => {
  const now = t("2026-11-30T12:00:00Z");
  it.each([
    ["2026-11-30T11:59:58Z", "now"],
    ["2026-11-30T11:59:30Z", "30 s ago"],
    ["2026-11-30T11:00:00Z", "1 h ago"],
    ["2026-11-27T12:00:00Z", "3 d ago"],
    ["2026-11-30T12:01:00Z", "in the future"],
  ])("writes %s as %s", (at, want) => expect(ago(t(at), now)).toBe(want));
});

describe("span", () => {
  it("names the day once where it is one", () => {
    expect(span(t("2026-11-30T08:00:00Z"), t("2026-11-30T09:30:00Z"), "utc")).toBe(
      "30 Nov 2026, 08:00 – 09:30",
    );
    expect(span(t("2026-11-29T08:00:00Z"), t("2026-11-30T08:00:00Z"), "utc")).toBe(
      "29 Nov 2026, 08:00 – 30 Nov 2026, 08:00",
    );
  });
});

it("leaves out the year where it says nothing", () => {
  expect(withoutYear(full(t("2026-11-30T08:00:05Z"), "utc"))).toBe("30 Nov, 08:00:05");
});
