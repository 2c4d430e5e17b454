import { QueryClient } from "@tanstack/react-query";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { concerns, listen, throttle } from "./live";

describe("throttle", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it("runs at once, and once more for all calls within the pause", () => {
    const run = vi.fn();
    const { call } = throttle(run, 1000);
    for (let i = 0; i < 5; i++) call();
    expect(run).toHaveBeenCalledTimes(1);
    vi.advanceTimersByTime(1000);
    expect(run).toHaveBeenCalledTimes(2);
    vi.advanceTimersByTime(10_000);
    expect(run).toHaveBeenCalledTimes(2);
    call();
    expect(run).toHaveBeenCalledTimes(3);
  });

  it("runs nothing once it is stopped", () => {
    const run = vi.fn();
    const { call, stop } = throttle(run, 1000);
    call();
    call();
    stop();
    vi.advanceTimersByTime(10_000);
    expect(run).toHaveBeenCalledTimes(1);
  });
});

describe("concerns", () => {
  it.each([
    ["deployments", "/api/deployments/{deployment_id}", true],
    ["deployments", "/api/deployments", true],
    ["deployments", "/api/admin/costs", false],
    ["executions", "/api/admin/executions", true],
    ["executions", "/api/admin/metrics", false],
    ["unknown", "/api/deployments", false],
    ["executions", undefined, false],
  ])("%s makes %s old: %s", (topic, path, want) => expect(concerns(topic, path)).toBe(want));
});

describe("listen", () => {
  class FakeSource {
    static readonly CLOSED = 2;
    static open = 0;
    readyState = 1;
    constructor() {
      FakeSource.open++;
    }
    addEventListener() {}
    close() {
      FakeSource.open--;
    }
  }

  function show(hidden: boolean) {
    Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  }

  beforeEach(() => vi.stubGlobal("EventSource", FakeSource));
  afterEach(() => {
    vi.unstubAllGlobals();
    Reflect.deleteProperty(document, "hidden");
  });

  it("holds one stream while the tab is seen, and none otherwise", () => {
    const stop = listen(new QueryClient());
    expect(FakeSource.open).toBe(1);
    show(true);
    expect(FakeSource.open).toBe(0);
    show(false);
    show(false);
    expect(FakeSource.open).toBe(1);
    stop();
    expect(FakeSource.open).toBe(0);
    show(false);
    expect(FakeSource.open).toBe(0);
  });
});
