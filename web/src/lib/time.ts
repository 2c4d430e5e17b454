import { interval } from "./url";

export type Zone = "local" | "utc";

const key = "watchbill-zone";

export function storedZone(): Zone {
  try {
    return localStorage.getItem(key) === "utc" ? "utc" : "local";
  } catch {
    return "local"; // storage is disabled
  }
}

export function storeZone(zone: Zone) {
  try {
    localStorage.setItem(key, zone);
  } catch {
    // Storage is disabled: the choice lasts for this visit.
  }
}

export function zoneName(zone: Zone): string {
  return zone === "utc" ? "UTC" : Intl.DateTimeFormat().resolvedOptions().timeZone;
}

const formats = new Map<string, Intl.DateTimeFormat>();

function format(zone: Zone, kind: "time" | "date" | "full"): Intl.DateTimeFormat {
  const id = `${zone} ${kind}`;
  let known = formats.get(id);
  if (!known) {
    const timeZone = zone === "utc" ? "UTC" : undefined;
    const date = { year: "numeric", month: "short", day: "2-digit" } as const;
    const time = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" } as const;
    const parts = { time, date, full: { ...date, ...time, second: "2-digit" } as const }[kind];
    known = new Intl.DateTimeFormat("en-GB", { timeZone, ...parts });
    formats.set(id, known);
  }
  return known;
}

export function timeOfDay(t: Date, zone: Zone): string {
  return format(zone, "time").format(t);
}

export function date(t: Date, zone: Zone): string {
  return format(zone, "date").format(t);
}

export function full(t: Date, zone: Zone): string {
  return format(zone, "full").format(t);
}

/** A time of full without its year, where that says nothing. */
export function withoutYear(text: string): string {
  return text.replace(/ \d{4},/, ",");
}

/** From when until when, with the dates only where they say something. */
export function span(from: Date, to: Date, zone: Zone): string {
  const [first, last] = [date(from, zone), date(to, zone)];
  const start = `${first}, ${timeOfDay(from, zone)}`;
  return first === last ? `${start} – ${timeOfDay(to, zone)}` : `${start} – ${last}, ${timeOfDay(to, zone)}`;
}

export function ago(t: Date, now: Date): string {
  const s = Math.round((now.getTime() - t.getTime()) / 1000);
  if (s < 0) return "in the future";
  if (s < 5) return "now";
  if (s < 60) return `${s} s ago`;
  if (s < 3600) return `${Math.floor(s / 60)} min ago`;
  if (s < 172_800) return `${Math.floor(s / 3600)} h ago`;
  return `${Math.floor(s / 86_400)} d ago`;
}

/** A time as a field for times has it, in the reader's zone. */
export function fieldTime(t: Date, zone: Zone): string {
  const shift = zone === "utc" ? 0 : t.getTimezoneOffset() * 60_000;
  return new Date(t.getTime() - shift).toISOString().slice(0, 16);
}

/** The time that a field has; null if it has none. */
export function parseFieldTime(text: string, zone: Zone): Date | null {
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d/.test(text)) return null;
  const t = new Date(zone === "utc" ? `${text}Z` : text);
  return Number.isNaN(t.getTime()) ? null : t;
}

/** The window of a day such as 2026-01-15, as the address holds windows. */
export function dayOf(day: string, zone: Zone): string {
  const [year = 1970, month = 1, date = 1] = day.split("-").map(Number);
  const begin = (d: number) =>
    zone === "utc" ? new Date(Date.UTC(year, month - 1, d)) : new Date(year, month - 1, d);
  return interval(begin(date), begin(date + 1));
}
