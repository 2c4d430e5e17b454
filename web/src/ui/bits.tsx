import type { ReactNode } from "react";
import { Link } from "wouter";
import { exactUsd, titleCase, usd } from "../lib/format";
import { useSettings } from "../lib/settings";
import { printable, shorten } from "../lib/text";
import { ago, full, withoutYear } from "../lib/time";

export type Tone = "ok" | "warn" | "bad" | "info" | "none";

const tones: Record<string, Tone> = {
  online: "ok",
  late: "warn",
  offline: "bad",
  pending: "none",
  running: "info",
  succeeded: "ok",
  success: "ok",
  failed: "bad",
  failure: "bad",
  timed_out: "bad",
  timeout: "bad",
  cancelled: "none",
  ok: "ok",
  degraded: "warn",
  down: "bad",
  Pass: "ok",
  Fail: "bad",
  NoData: "none",
};

/** A state as a dot and a word: color alone says nothing to some. */
export function Status({ of, tone }: { of: string; tone?: Tone }) {
  const label = of === "NoData" ? "No data" : titleCase(printable(of));
  return <span className={`status ${tone ?? tones[of] ?? "none"}`}>{label}</span>;
}

/** A name that strangers chose: its direction is its own, and what is invisible in it is shown. */
export function Name({ of, limit = 120 }: { of: string; limit?: number }) {
  const text = printable(of);
  return (
    <bdi className="name" title={text.length > limit ? shorten(text, 2000) : undefined}>
      {shorten(text, limit)}
    </bdi>
  );
}

/** The last digits of an identifier, which differ where the first are a time. */
export function ShortId({ of }: { of: string }) {
  const text = printable(of);
  return <code title={text}>{text.length > 16 ? `${text.slice(0, 6)}…${text.slice(-6)}` : text}</code>;
}

/** A moment as its distance from now; the time itself, and UTC, on hover. */
export function When({ at, absolute = false }: { at: string | undefined; absolute?: boolean }) {
  const { zone } = useSettings();
  if (!at) return <span className="muted">never</span>;
  const t = new Date(at);
  const [local, utc] = [full(t, zone), `${full(t, "utc")} UTC`];
  const brief = t.getFullYear() === new Date().getFullYear() ? withoutYear(local) : local;
  return (
    <time dateTime={at} title={`${local} · ${utc}`}>
      {absolute ? brief : ago(t, new Date())}
    </time>
  );
}

interface Priced {
  cost_usd: number | null;
  cost?: number;
  currency?: string;
}

/** A cost, never a zero where it is unknown. */
export function Money({ of }: { of: Priced }) {
  if (of.cost_usd === null) {
    return (
      <span className="muted" title="No price is known for these tokens.">
        no price
      </span>
    );
  }
  const other = of.currency && of.cost !== undefined ? ` · ${usd(of.cost, of.currency)}` : "";
  return <span title={exactUsd(of.cost_usd) + other}>{usd(of.cost_usd)}</span>;
}

interface StatProps {
  label: string;
  value: ReactNode;
  note?: ReactNode;
  tone?: Tone;
  to?: string;
}

/** One figure with its name. With `to` it leads to what it is made of. */
export function Stat({ label, value, note, tone, to }: StatProps) {
  return (
    <div className={`stat ${tone ?? ""}`}>
      <dt>{to ? <Link href={to}>{label}</Link> : label}</dt>
      <dd>
        <span className="value">{value}</span>
        {note && <span className="note">{note}</span>}
      </dd>
    </div>
  );
}

export function Stats({ children }: { children: ReactNode }) {
  return <dl className="stats">{children}</dl>;
}

/** Names and values, one a line. */
export function Facts({ of }: { of: [string, ReactNode][] }) {
  return (
    <dl className="facts">
      {of.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
