import type { UseQueryResult } from "@tanstack/react-query";
import { type ReactNode, useId } from "react";
import { useSettings } from "../lib/settings";
import { span, zoneName } from "../lib/time";
import { Empty, Failure } from "./states";

interface Window {
  from: string;
  to: string;
}

/** The window that figures are of, in the reader's zone; UTC on hover. */
export function WindowText({ window: w }: { window: Window }) {
  const { zone } = useSettings();
  const [from, to] = [new Date(w.from), new Date(w.to)];
  return (
    <span className="window" title={`${span(from, to, "utc")} UTC`}>
      {span(from, to, zone)} {zoneName(zone)}
    </span>
  );
}

interface PanelProps {
  title: ReactNode;
  /** What stands beside the title, such as a choice. */
  aside?: ReactNode;
  window?: Window;
  /** The API call that gives what the panel shows. */
  source?: string;
  className?: string;
  children: ReactNode;
}

export function Panel({ title, aside, window: w, source, className, children }: PanelProps) {
  const id = useId();
  return (
    <section className={`panel ${className ?? ""}`} aria-labelledby={id}>
      <header>
        <h2 id={id}>{title}</h2>
        <div className="aside">{aside}</div>
      </header>
      <div className="body">{children}</div>
      {(w || source) && (
        <footer>
          {w ? <WindowText window={w} /> : <span />}
          {source && (
            <a
              href={source}
              target="_blank"
              rel="noreferrer"
              aria-label={`API call: ${source}`}
              title={source}
            >
              API
            </a>
          )}
        </footer>
      )}
    </section>
  );
}

interface AnswerProps<T> {
  of: UseQueryResult<T, unknown>;
  /** What to say if there is nothing to show. */
  empty?: (data: T) => ReactNode | false;
  /** The height that is kept free while loading. */
  height?: number;
  children: (data: T) => ReactNode;
}

/** What a query gave: a placeholder while it loads, its error, or its content. An error beside old data shows both. */
export function Answer<T>({ of, empty, height = 120, children }: AnswerProps<T>) {
  if (of.isPending) {
    return <div className="skeleton" style={{ height }} role="status" aria-label="Loading" />;
  }
  if (of.data === undefined) return <Failure error={of.error} retry={() => of.refetch()} />;
  const nothing = empty?.(of.data);
  return (
    <>
      {of.isError && <Failure error={of.error} retry={() => of.refetch()} />}
      {nothing ? <Empty>{nothing}</Empty> : children(of.data)}
    </>
  );
}
