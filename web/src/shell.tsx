import {
  ActionIcon,
  Button,
  type MantineColorScheme,
  NativeSelect,
  useMantineColorScheme,
} from "@mantine/core";
import { useClickOutside } from "@mantine/hooks";
import { useIsFetching, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useEffect, useState } from "react";
import { Link, useLocation } from "wouter";
import { type Session, useSignOut } from "./api/session";
import { seconds } from "./lib/format";
import { useLiveStream, useStreamState } from "./lib/live";
import { refreshes, useSettings } from "./lib/settings";
import { printable } from "./lib/text";
import { full, zoneName } from "./lib/time";
import { useLink } from "./lib/url";
import { Status } from "./ui/bits";
import { WindowChoice } from "./ui/window";

const views: [path: string, title: string][] = [
  ["/overview", "Overview"],
  ["/agents", "AI agents"],
  ["/executions", "Executions"],
  ["/fleet", "Fleet"],
  ["/deployments", "Deployments"],
  ["/costs", "Costs"],
  ["/users", "Users"],
  ["/api", "API"],
  ["/reports", "Reports"],
  ["/events", "Events"],
  ["/settings", "Settings"],
];

/** The views whose figures are of the chosen window. */
const windowed = ["/overview", "/agents", "/executions", "/api", "/costs", "/users"];

export function Shell({ session, children }: { session: Session; children: ReactNode }) {
  const [place] = useLocation();
  const [open, setOpen] = useState(false);
  const link = useLink();
  useLiveStream();
  const current = views.find(([path]) => place === path || place.startsWith(`${path}/`));
  // The menu closes when the place changes.
  useEffect(() => setOpen(false), [place]);
  const [view, item] = [current?.[1] ?? "Page", itemOf(place)];
  useEffect(() => {
    document.title = [...(item ? [item] : []), view, "Watchbill"].join(" · ");
  }, [view, item]);
  return (
    <div className="shell">
      <a className="skip" href="#main">
        Skip to content
      </a>
      <nav aria-label="Views" className={open ? "open" : ""}>
        <div className="brand">
          <img src="/ui/favicon.svg" alt="" width="20" height="20" />
          Watchbill
          <button
            type="button"
            className="burger"
            aria-expanded={open}
            aria-label={open ? "Close the menu" : "Open the menu"}
            onClick={() => setOpen(!open)}
          >
            <Lines />
          </button>
        </div>
        <ul>
          {views.map(([path, title]) => (
            <li key={path}>
              <Link href={link(path)} aria-current={current?.[0] === path ? "page" : undefined}>
                {title}
              </Link>
            </li>
          ))}
        </ul>
      </nav>
      <div className="content">
        <section className="top" aria-label="View">
          <h1>
            {item && current ? (
              <Link href={link(current[0])}>{current[1]}</Link>
            ) : (
              (current?.[1] ?? "Not found")
            )}
            {item && <span className="muted"> / {item}</span>}
          </h1>
          <Controls windowed={windowed.includes(place) || place.startsWith("/users/")} session={session} />
        </section>
        <main id="main" tabIndex={-1}>
          {children}
        </main>
      </div>
    </div>
  );
}

/** What a place below a view shows: an agent, a deployment, a report. */
export function itemOf(place: string): string {
  const [, , escaped = ""] = place.split("/");
  try {
    const text = printable(decodeURIComponent(escaped));
    return text.length > 32 ? `${text.slice(0, 8)}…${text.slice(-6)}` : text;
  } catch {
    return ""; // half an escape, which somebody typed
  }
}

function Lines() {
  return (
    <svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
      <path d="M2 4h12M2 8h12M2 12h12" stroke="currentColor" strokeWidth="1.6" fill="none" />
    </svg>
  );
}

function Controls({ windowed: hasWindow, session }: { windowed: boolean; session: Session }) {
  const { refresh, setRefresh } = useSettings();
  return (
    <div className="controls">
      <StreamState />
      {hasWindow && <WindowChoice />}
      <NativeSelect
        size="xs"
        aria-label="Refresh every"
        value={String(refresh)}
        onChange={(e) =>
          setRefresh(e.currentTarget.value === "false" ? false : Number(e.currentTarget.value))
        }
        data={refreshes.map((every) => ({
          value: String(every),
          label: every ? `Every ${seconds(every / 1000)}` : "No refresh",
        }))}
      />
      <RefreshNow />
      <Preferences session={session} />
    </div>
  );
}

/** Says that changes do not arrive, where they did or should. */
function StreamState() {
  const isLive = useStreamState();
  if (isLive === undefined) return null;
  return (
    <span
      className="stream"
      title={isLive ? "Changes are shown as they happen." : "Changes are read at intervals only."}
    >
      <Status of={isLive ? "Live" : "Not live"} tone={isLive ? "ok" : "warn"} />
    </span>
  );
}

function RefreshNow() {
  const queries = useQueryClient();
  const busy = useIsFetching() > 0;
  return (
    <ActionIcon
      variant="default"
      size={30}
      aria-label="Refresh now"
      title="Refresh now"
      onClick={() => queries.invalidateQueries(undefined, { cancelRefetch: false })}
    >
      <svg viewBox="0 0 16 16" width="14" height="14" aria-hidden="true" className={busy ? "busy" : ""}>
        <path
          d="M13.5 8A5.5 5.5 0 1 1 11.7 4M12 1v3.4H8.6"
          stroke="currentColor"
          strokeWidth="1.5"
          fill="none"
          strokeLinecap="round"
          strokeLinejoin="round"
        />
      </svg>
    </ActionIcon>
  );
}

const schemes = [
  { value: "auto", label: "As the system" },
  { value: "light", label: "Light" },
  { value: "dark", label: "Dark" },
];

/** Zone, colors and the session, in a box that a button opens. */
function Preferences({ session }: { session: Session }) {
  const { zone, setZone } = useSettings();
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const signOut = useSignOut(session);
  const [failed, setFailed] = useState(false);
  const [open, setOpen] = useState(false);
  const box = useClickOutside<HTMLDivElement>(() => setOpen(false));
  return (
    <div className="preferences" ref={box}>
      <Button
        size="xs"
        variant="default"
        aria-expanded={open}
        onClick={() => setOpen(!open)}
        onKeyDown={(e) => e.key === "Escape" && setOpen(false)}
      >
        {zone === "utc" ? "UTC" : "Local time"} · {session.role}
      </Button>
      {open && (
        // biome-ignore lint/a11y/noStaticElementInteractions: Escape closes the box from all of its controls
        <div className="box" onKeyDown={(e) => e.key === "Escape" && setOpen(false)}>
          <NativeSelect
            size="xs"
            label="Times"
            value={zone}
            onChange={(e) => setZone(e.currentTarget.value === "utc" ? "utc" : "local")}
            data={[
              { value: "local", label: zoneName("local") },
              { value: "utc", label: "UTC" },
            ]}
          />
          <NativeSelect
            size="xs"
            label="Colors"
            value={colorScheme}
            onChange={(e) => setColorScheme(e.currentTarget.value as MantineColorScheme)}
            data={schemes}
          />
          <p className="muted">Session until {full(new Date(session.expires_at), zone)}</p>
          <Button size="xs" variant="default" onClick={() => signOut().catch(() => setFailed(true))}>
            {failed ? "Could not sign out. Try again" : "Sign out"}
          </Button>
        </div>
      )}
    </div>
  );
}
