import { type Query, type QueryClient, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";

/** What the stream says of the fleet. */
export interface FleetState {
  agents: Partial<Record<"online" | "late" | "offline", number>>;
  deployments: Record<string, number>;
}

const path = "/api/live";
const fleetKey = ["live", "fleet"];
const stateKey = ["live", "state"];
const again = 30_000; // milliseconds until a stream that the server refused is asked for again

/** The API's paths whose answers an event makes old, and for how long they are not read again after that. */
export const topics: Record<string, { paths: string[]; pause: number }> = {
  deployments: { paths: ["/api/deployments", "/api/deployment-groups", "/api/events"], pause: 3_000 },
  executions: {
    paths: ["/api/admin/executions", "/api/admin/errors", "/api/admin/user-activity"],
    pause: 5_000,
  },
};

/** Whether an event about a topic makes the answer of a path old. */
export function concerns(topic: string, pathOfQuery: unknown): boolean {
  const known = topics[topic]?.paths ?? [];
  return (
    typeof pathOfQuery === "string" && known.some((p) => pathOfQuery === p || pathOfQuery.startsWith(`${p}/`))
  );
}

/** Calls run at once, and for calls within the pause once at its end. */
export function throttle(run: () => void, pause: number): { call: () => void; stop: () => void } {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let waiting = false;
  const call = () => {
    if (timer !== undefined) {
      waiting = true;
      return;
    }
    run();
    timer = setTimeout(() => {
      timer = undefined;
      if (!waiting) return;
      waiting = false;
      call();
    }, pause);
  };
  return { call, stop: () => clearTimeout(timer) };
}

export function listen(queries: QueryClient): () => void {
  const topical = Object.entries(topics).map(([topic, { pause }]) => {
    const run = () => void queries.invalidateQueries({ predicate: (q) => concerns(topic, q.queryKey[1]) });
    return [topic, throttle(run, pause)] as const;
  });
  let source: EventSource | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const close = () => {
    source?.close();
    source = undefined;
    clearTimeout(timer);
  };
  const open = () => {
    close();
    source = new EventSource(path);
    source.onopen = () => queries.setQueryData(stateKey, true);
    source.onerror = () => {
      queries.setQueryData(stateKey, false);
      // The browser itself comes again after a break, but not after a refusal.
      if (source?.readyState === EventSource.CLOSED) timer = setTimeout(open, again);
    };
    source.addEventListener("fleet", (e) => queries.setQueryData(fleetKey, JSON.parse(e.data)));
    source.addEventListener(
      "reset",
      () => void queries.invalidateQueries({ predicate: (q) => q.queryKey[0] !== "live" }),
    );
    for (const [topic, { call }] of topical) source.addEventListener(topic, call);
  };
  // Browsers open six connections to a host at most: a tab that nobody sees must not hold one.
  const seen = () => {
    if (document.hidden) {
      close();
      return;
    }
    if (source) return;
    open();
    const old = { predicate: (q: Query) => q.queryKey[0] !== "live" };
    void queries.invalidateQueries(old, { cancelRefetch: false });
  };
  document.addEventListener("visibilitychange", seen);
  if (!document.hidden) open();
  return () => {
    document.removeEventListener("visibilitychange", seen);
    close();
    for (const [, { stop }] of topical) stop();
  };
}

/** Keeps one stream open while somebody is signed in. */
export function useLiveStream() {
  const queries = useQueryClient();
  useEffect(() => listen(queries), [queries]);
}

function useStored<T>(key: string[]) {
  return useQuery<T | null>({
    queryKey: key,
    queryFn: () => null,
    enabled: false,
    gcTime: Number.POSITIVE_INFINITY,
  }).data;
}

/** The fleet's counts as the stream last told them. */
export function useFleetState() {
  return useStored<FleetState>(fleetKey);
}

/** Whether changes arrive as they happen; undefined until the stream has been tried. */
export function useStreamState(): boolean | undefined {
  return useStored<boolean>(stateKey) ?? undefined;
}
