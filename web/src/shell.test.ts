import { describe, expect, it } from "vitest";
import { itemOf } from "./shell";

describe("itemOf", () => {
  it.each([
    ["/fleet", ""],
    ["/fleet/edge-1", "edge-1"],
    ["/users/a%2Fb%E2%80%AE", "a/b\\u{202e}"],
    ["/users/%", ""],
    ["/executions/0123456789abcdef0123456789abcdef-1", "01234567…cdef-1"],
  ])("of %s is %s", (place, want) => expect(itemOf(place)).toBe(want));
});
