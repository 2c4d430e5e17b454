import { lazy, Suspense } from "react";

export interface Line {
  label: string;
  values: (number | null)[];
  /** A color of styles.css, such as "ok" or "c1". */
  color: string;
  dashed?: boolean;
  fill?: boolean;
}

export interface ChartProps {
  /** What the chart shows, for people who do not see it. */
  label: string;
  times: number[]; // seconds since 1970
  lines: Line[];
  format: (value: number) => string;
  kind?: "lines" | "bars";
  height?: number;
  /** Fixes the top of the axis, such as 1 for ratios. */
  max?: number;
}

const Plot = lazy(() => import("./plot"));

/** A chart over time. The library that draws it is loaded when the first is shown. */
export function Chart(props: ChartProps) {
  const height = props.height ?? 180;
  return (
    <Suspense
      fallback={
        <div className="skeleton" style={{ height: height + 28 }} role="status" aria-label="Loading" />
      }
    >
      <Plot {...props} height={height} />
    </Suspense>
  );
}

/** When the steps of points begin. The first point is shorter where the window begins within its step. */
export function timesOf(points: { time: string }[], stepSeconds: number): number[] {
  return points.map((p) => Math.floor(new Date(p.time).getTime() / 1000 / stepSeconds) * stepSeconds);
}

export const palette = ["c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8"];

export function colorOf(index: number, key: string): string {
  if (key === "other") return "muted";
  return palette[index % palette.length] ?? "c1";
}
