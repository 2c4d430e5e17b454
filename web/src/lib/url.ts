import { useCallback } from "react";
import { useSearchParams } from "wouter";

/** A parameter of the address, and a function that changes it. An empty value removes it. */
export function useParam(name: string, fallback = ""): [string, (value: string) => void] {
  const [params, setParams] = useSearchParams();
  const set = useCallback(
    (value: string) =>
      setParams(
        (before) => {
          const next = new URLSearchParams(before);
          if (value === "" || value === fallback) next.delete(name);
          else next.set(name, value);
          next.delete("cursor");
          return next;
        },
        { replace: true },
      ),
    [name, fallback, setParams],
  );
  return [params.get(name) ?? fallback, set];
}

/** Several parameters changed at once; an empty value removes one. */
export function useSetParams(): (values: Record<string, string>) => void {
  const [, setParams] = useSearchParams();
  return useCallback(
    (values) =>
      setParams(
        (before) => {
          const next = new URLSearchParams(before);
          next.delete("cursor");
          for (const [name, value] of Object.entries(values)) {
            if (value === "") next.delete(name);
            else next.set(name, value);
          }
          return next;
        },
        { replace: true },
      ),
    [setParams],
  );
}

export const windows = [
  ["1h", "Last hour", 1],
  ["3h", "Last 3 hours", 3],
  ["6h", "Last 6 hours", 6],
  ["12h", "Last 12 hours", 12],
  ["24h", "Last 24 hours", 24],
  ["2d", "Last 2 days", 48],
  ["7d", "Last 7 days", 168],
  ["30d", "Last 30 days", 720],
  ["90d", "Last 90 days", 2160],
] as const;

/** The window that the address asks for. */
export function useWindow(): {
  id: string;
  label: string;
  hours: number;
  days: number;
  set: (id: string) => void;
} {
  const [id, set] = useParam("w", "24h");
  const [known, label, hours] = windows.find(([w]) => w === id) ?? windows[4];
  return { id: known, label, hours, days: Math.max(1, Math.ceil(hours / 24)), set };
}

/** A path of the page with the window of this address. */
export function useLink(): (path: string, params?: Record<string, string | undefined>) => string {
  const [params] = useSearchParams();
  const w = params.get("w");
  return useCallback(
    (path, more = {}) => {
      const next = new URLSearchParams();
      if (w) next.set("w", w);
      for (const [name, value] of Object.entries(more)) if (value) next.set(name, value);
      const query = next.toString();
      return query ? `${path}?${query}` : path;
    },
    [w],
  );
}
