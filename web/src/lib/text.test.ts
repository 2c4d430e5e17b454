import { describe, expect, it } from "vitest";
import { printable, printableLines, shorten } from "./text";

describe("printable", () => {
  it.each([
    ["plain, ünïcode 日本 🙂", "plain, ünïcode 日本 🙂"],
    ["\u202egnp.exe", "\\u{202e}gnp.exe"],
    ["a\u200bb", "a\\u{200b}b"],
    ["\u001b[31mred", "\\u{1b}[31mred"],
    ["line\nbreak", "line\\u{a}break"],
    ["\u0085\u2028", "\\u{85}\\u{2028}"],
    ["tag \u{e0041}", "tag \\u{e0041}"],
    ["<img src=x>", "<img src=x>"],
  ])("writes %j as %j", (given, want) => expect(printable(given)).toBe(want));
});

describe("printableLines", () => {
  it("keeps line breaks and tabs", () => expect(printableLines("a\tb\r\nc\u0007")).toBe("a\tb\nc\\u{7}"));
});

describe("shorten", () => {
  it("says that something is left out", () => {
    expect(shorten("abcdef", 3)).toBe("abc…");
    expect(shorten("abc", 3)).toBe("abc");
  });
});
