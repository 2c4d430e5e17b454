import { cleanup, render, screen } from "@testing-library/react";
import { afterEach, describe, expect, it } from "vitest";
import type { Schemas } from "../api/client";
import { Money, Name, Status } from "../ui/bits";
import { sorted } from "../ui/table";
import { grouped, wordsOf } from "./agents";
import { filtersOf } from "./executions";
import { toneOf, worst } from "./parts/alerts";
import { parseSpec } from "./parts/createdeployment";
import { streamed } from "./parts/fleetcounts";
import { append } from "./parts/log";
import { newestOfEach } from "./parts/objectives";
import { conditions, rateOf } from "./parts/prices";
import { monthToDate } from "./parts/spend";
import { extent, flatten } from "./parts/trace";
import { pairs } from "./report";

afterEach(cleanup);

describe("Name", () => {
  it("shows markup as text and writes out what is invisible", () => {
    render(<Name of={"<b>x</b>\u202egnp.exe"} />);
    expect(screen.getByText("<b>x</b>\\u{202e}gnp.exe")).toBeTruthy();
    expect(document.querySelector("b")).toBeNull();
  });
});

describe("Money", () => {
  it("never shows an unknown cost as zero", () => {
    render(<Money of={{ cost_usd: null }} />);
    expect(screen.getByText("no price")).toBeTruthy();
  });
});

describe("Status", () => {
  it("says the state in words", () => {
    render(<Status of="timed_out" />);
    expect(screen.getByText("Timed out").className).toContain("bad");
  });
});

describe("alerts", () => {
  const alert = (state: "firing" | "pending" | "suppressed", severity: string) => ({ state, severity });
  it("are red where somebody must act, and gray where nobody need", () => {
    expect(toneOf(alert("firing", "critical"))).toBe("bad");
    expect(toneOf(alert("firing", "warning"))).toBe("warn");
    expect(toneOf(alert("firing", ""))).toBe("warn");
    expect(toneOf(alert("firing", "none"))).toBe("none");
    expect(toneOf(alert("suppressed", "critical"))).toBe("none");
    expect(toneOf(alert("pending", "critical"))).toBe("none");
  });
  it("are as urgent as the worst", () => {
    expect(worst([])).toBe("ok");
    expect(worst([alert("firing", "none"), alert("suppressed", "critical")])).toBe("ok");
    expect(worst([alert("firing", "warning"), alert("firing", "critical")])).toBe("bad");
  });
});

describe("newestOfEach", () => {
  it("takes one report of each name, the newest, up to a number", () => {
    const of = (namespace: string, name: string, id: number) => ({ namespace, name, id });
    const all = [of("", "a", 9), of("team", "a", 8), of("", "a", 7), of("", "b", 6), of("", "c", 5)];
    expect(newestOfEach(all, 3).map((r) => r.id)).toEqual([9, 8, 6]);
  });
});

describe("prices", () => {
  const price = {
    match: ["m"],
    providers: [],
    elsewhere: "never",
    usd_per_million_tokens: { input: 2, output: 8, cache_read: 0 },
    version: "v",
    line: 1,
  } as Schemas["ListedPrice"];
  it("have the price of the input where a kind has none of its own, also if that is free", () => {
    expect(rateOf(price.usd_per_million_tokens, "cache_write")).toBe(2);
    expect(rateOf(price.usd_per_million_tokens, "cache_read")).toBe(0);
    expect(rateOf({}, "output")).toBeUndefined();
  });
  it("say under which conditions they change", () => {
    expect(
      conditions({
        ...price,
        tiers: [{ above_input_tokens: 1000, usd_per_million_tokens: { input: 4, output: 16 } }],
        service_tiers: [{ name: "batch", factor: "0.5" }],
        hours: [{ days: ["sun", "sat"], from_minute: 60, until_minute: 1439, factor: "0.1" }],
      }),
    ).toEqual([
      "above 1,000 input tokens: 4 in, 16 out",
      "batch: × 0.5",
      "sun, sat 01:00 to 23:59 UTC: × 0.1",
    ]);
    expect(conditions(price)).toEqual([]);
  });
});

describe("sorted", () => {
  const rows = [{ n: 2 }, { n: null }, { n: 10 }];
  const columns = [{ id: "n", title: "N", cell: () => "", sort: (r: { n: number | null }) => r.n }];
  it("puts numbers in their order, unknown ones lowest", () => {
    expect(sorted(rows, columns, "-n").map((r) => r.n)).toEqual([10, 2, null]);
    expect(sorted(rows, columns, "n").map((r) => r.n)).toEqual([null, 2, 10]);
  });
  it("leaves rows as they are without a known column", () => {
    expect(sorted(rows, columns, "other")).toEqual(rows);
  });
});

describe("streamed", () => {
  it("counts exactly, and states without agents as 0", () => {
    expect(streamed({ agents: { offline: 10_003 }, deployments: { running: 2 } })).toEqual({
      online: "0",
      late: "0",
      offline: "10,003",
      running: "2",
    });
  });
});

describe("wordsOf", () => {
  it("leaves out what differs between messages of a kind", () => {
    expect(wordsOf("no answer in 30 s")).toBe("no answer in");
    expect(wordsOf("12")).toBe("");
    expect(wordsOf(`${"x".repeat(150)} 1 ${"y".repeat(500)}`)).toBe("x".repeat(150));
  });
});

describe("grouped", () => {
  const failure = (agent_name: string, error_message: string | null, status = "failure") =>
    ({ agent_name, error_message, status, created_at: "", execution_id: "" }) as Schemas["Execution"];
  it("takes messages that differ in numbers or ids together", () => {
    const groups = grouped([
      failure("a", "no answer in 30 s"),
      failure("a", "no answer in 31 s"),
      failure("b", "no answer in 30 s"),
      failure("a", null, "timeout"),
    ]);
    expect(groups.map((g) => [g.newest.agent_name, g.message, g.count])).toEqual([
      ["a", "no answer in 30 s", 2],
      ["b", "no answer in 30 s", 1],
      ["a", "timed out", 1],
    ]);
  });
});

describe("filtersOf", () => {
  it("takes known filters and leaves out what is no number", () => {
    const params = new URLSearchParams("agent=a&min_cost_usd=0.5&max_cost_usd=much&w=1h&status=failed");
    expect(filtersOf(params)).toEqual({ agent: "a", min_cost_usd: 0.5, status: "failed" });
  });
});

describe("parseSpec", () => {
  it("takes objects alone", () => {
    expect(parseSpec('{"a": 1}')).toEqual({ a: 1 });
    expect(parseSpec("[1]")).toBe("The spec must be a JSON object.");
    expect(parseSpec("null")).toBe("The spec must be a JSON object.");
    expect(parseSpec("{")).toMatch(/^The spec is not JSON/);
  });
});

describe("append", () => {
  it("keeps the end of a long log", () => {
    expect(append({ text: "abc", cut: false }, "de", 4)).toEqual({ text: "bcde", cut: true });
    expect(append({ text: "", cut: false }, "ab", 4)).toEqual({ text: "ab", cut: false });
  });
});

describe("monthToDate", () => {
  const day = (key: string, cost_usd: number | null, unpriced_tokens = 0) =>
    ({ key, cost_usd, unpriced_tokens, unknown_usage: 0, tokens: { used: 10 } }) as Schemas["SpendOf"];
  it("adds up the days of this month alone", () => {
    const month = monthToDate(
      [day("2026-10-31", 5), day("2026-11-01", 0.1), day("2026-11-02", 0.2, 7), day("2026-11-03", null)],
      new Date(2026, 10, 4),
    );
    expect(month).toMatchObject({ total: 0.3, unpriced: 7, tokens: 30, projected: 3 });
    expect(month?.today.key).toBe("2026-11-03");
  });
});

describe("a trace", () => {
  const node = (created_at: string, execution_time_ms: number, children: Schemas["ExecutionNode"][] = []) =>
    ({ execution: { created_at, execution_time_ms }, children }) as Schemas["ExecutionNode"];
  it("is laid out line by line within the time it took", () => {
    const rows = flatten([
      node("2026-11-30T10:00:00Z", 1000, [
        node("2026-11-30T10:00:00.900Z", 600, [node("2026-11-30T10:00:01Z", 1)]),
      ]),
    ]);
    expect(rows.map((r) => r.depth)).toEqual([0, 1, 2]);
    expect(extent(rows).length).toBe(1500);
  });
});

describe("pairs", () => {
  const result = (name: string) => ({ name }) as Schemas["ObjectiveResult"];
  it("sets results side by side by name", () => {
    const both = pairs([result("a"), result("gone")], [result("new"), result("a")]);
    expect(both.map((p) => [p.name, !!p.first, !!p.second])).toEqual([
      ["new", false, true],
      ["a", true, true],
      ["gone", true, false],
    ]);
  });
});
