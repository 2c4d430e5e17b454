import { expect, it } from "vitest";
import { codeOf } from "./code";

it.each([
  ["#/sign-in?code=abc-1", "abc-1"],
  ["#/sign-in", null],
  ["#main", null],
  ["", null],
])("the code of %s is %s", (hash, want) => expect(codeOf(hash)).toBe(want));
