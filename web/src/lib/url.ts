import { useCallback, useMemo } from "react";
import { useLocation, useSearchParams } from "wouter";

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

/** Figures of a window: the last hours, or from one time to another. */
export type WindowQuery = { hours: number } | { from: string; to: string };

export interface ViewWindow {
  /** One of windows, or what custom is made of. */
  id: string;
  label: string;
  /** What to ask the API for. */
  query: WindowQuery;
  hours: number;
  /** The days until today, for figures of whole days. */
  days: number;
  custom?: { from: Date; to: Date };
  set: (id: string) => void;
}

const maxHours = 8784; // the API's

/** A window as an ISO 8601 interval, or null if the text is none that the API would take. */
export function parseInterval(text: string): { from: Date; to: Date } | null {
  const [first = "", last = "", ...rest] = text.split("/");
  const [from, to] = [new Date(first), new Date(last)];
  const hours = (to.getTime() - from.getTime()) / 3_600_000;
  return rest.length === 0 && hours > 0 && hours <= maxHours && from.getTime() >= 0 ? { from, to } : null;
}

/** The interval as the address holds it, to the minute. */
export function interval(from: Date, to: Date): string {
  const minute = (t: Date) => `${t.toISOString().slice(0, 16)}Z`;
  return `${minute(from)}/${minute(to)}`;
}

/** The window of a view whose address has none. Views of whole days show more of them. */
export function defaultWindow(place: string): string {
  return /^\/(costs|users)(\/|$)/.test(place) ? "30d" : "24h";
}

/** The window that a parameter of the address means. What it cannot mean is the last 24 hours. */
export function windowOf(id: string, now: number): Omit<ViewWindow, "set"> {
  const custom = parseInterval(id);
  if (custom) {
    const { from, to } = custom;
    const query = { from: from.toISOString(), to: to.toISOString() };
    const hours = (to.getTime() - from.getTime()) / 3_600_000;
    const days = Math.max(1, Math.ceil((now - from.getTime()) / 86_400_000));
    return { id, label: "Custom window", query, hours, days: Math.min(days, 366), custom };
  }
  const [known, label, hours] = windows.find(([w]) => w === id) ?? windows[4];
  return { id: known, label, query: { hours }, hours, days: Math.max(1, Math.ceil(hours / 24)) };
}

/** When a window begins: to the minute, so that the query stays the same while its answer is read. */
export function beginOf({ hours, custom }: Pick<ViewWindow, "hours" | "custom">, now: number): string {
  const from = custom?.from.getTime() ?? Math.floor(now / 60_000) * 60_000 - hours * 3_600_000;
  return new Date(from).toISOString();
}

/** The window that the address asks for. Changing it is a step that the browser's back button takes back. */
export function useWindow(): ViewWindow {
  const [params, setParams] = useSearchParams();
  const [place] = useLocation();
  const otherwise = defaultWindow(place);
  const id = params.get("w") ?? otherwise;
  const set = useCallback(
    (next: string) =>
      setParams((before) => {
        const after = new URLSearchParams(before);
        after.delete("cursor");
        if (next === otherwise) after.delete("w");
        else after.set("w", next);
        return after;
      }),
    [setParams, otherwise],
  );
  return useMemo(() => ({ ...windowOf(id, Date.now()), set }), [id, set]);
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
