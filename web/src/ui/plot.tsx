import "uplot/dist/uPlot.min.css";
import { useComputedColorScheme } from "@mantine/core";
import { useEffect, useRef, useState } from "react";
import uPlot from "uplot";
import { useSettings } from "../lib/settings";
import { full, type Zone } from "../lib/time";
import { interval, useWindow } from "../lib/url";
import type { ChartProps, Line } from "./chart";

function color(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim() || "gray";
}

function series(line: Line, bars: boolean): uPlot.Series {
  const stroke = color(line.color);
  return {
    label: line.label,
    stroke,
    width: bars ? 0 : 1.5,
    dash: line.dashed ? [5, 4] : undefined,
    fill: bars ? stroke : line.fill ? `color-mix(in srgb, ${stroke} 14%, transparent)` : undefined,
    points: { show: line.values.filter((v) => v !== null).length === 1 && !bars, size: 5, fill: stroke },
    paths: bars ? uPlot.paths.bars?.({ size: [0.8, 120], align: 1 }) : undefined,
    spanGaps: false,
  };
}

/** Bars stand on one another: each ends at the sum of those before it and its own. */
function stacked(lines: Line[]): (number | null)[][] {
  const sums: number[] = [];
  return lines.map((line) =>
    line.values.map((v, i) => {
      sums[i] = (sums[i] ?? 0) + (v ?? 0);
      return sums[i] ?? 0;
    }),
  );
}

function options(
  props: ChartProps,
  zone: Zone,
  width: number,
  onMove: (index: number | null) => void,
  onSelect: (from: number, to: number) => void,
): uPlot.Options {
  const bars = props.kind === "bars";
  const [grid, text] = [color("grid"), color("muted")];
  const axis = {
    stroke: text,
    grid: { stroke: grid, width: 1 },
    ticks: { show: false },
    font: "11px system-ui, sans-serif",
  };
  const lines = bars ? [...props.lines].reverse() : props.lines;
  const daily = isDaily(props);
  const zoned = (ts: number) =>
    zone === "utc" ? uPlot.tzDate(new Date(ts * 1000), "UTC") : new Date(ts * 1000);
  return {
    width,
    height: props.height ?? 180,
    tzDate: zoned,
    legend: { show: false },
    cursor: { points: { size: 6 }, drag: { x: !daily, y: false, setScale: false }, y: false },
    padding: [8, 18, 0, 0],
    scales: {
      x:
        bars && props.times.length > 1
          ? { range: (_, min, max) => [min, max + (props.times[1] ?? 0) - (props.times[0] ?? 0)] }
          : {},
      y: { range: (_, __, max) => [0, props.max ?? (max > 0 ? max * 1.08 : 1)] },
    },
    axes: [
      {
        ...axis,
        incrs: daily ? days : undefined,
        size: 28,
        space: 70,
        values: (_u, ticks, _axis, _space, step) => axisTimes(ticks, step, zoned),
      },
      { ...axis, size: 62, space: 34, values: (_, ticks) => ticks.map(props.format) },
    ],
    series: [{}, ...lines.map((line) => series(line, bars))],
    hooks: {
      setCursor: [(u) => onMove(u.cursor.idx ?? null)],
      setSelect: [
        (u) => {
          const { left, width: chosen } = u.select;
          if (chosen >= 5) onSelect(u.posToVal(left, "x"), u.posToVal(left + chosen, "x"));
          u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        },
      ],
    },
  };
}

function isDaily({ times }: ChartProps): boolean {
  return (times[1] ?? 0) - (times[0] ?? 0) >= 86_400;
}

const days = [1, 2, 7, 14, 28, 91, 182, 364].map((n) => n * 86_400);
const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** Times of the axis: hours of a day, and the day where it begins. */
function axisTimes(ticks: number[], step: number, zoned: (ts: number) => Date): string[] {
  return ticks.map((ts, i) => {
    const t = zoned(ts);
    const day = `${String(t.getDate()).padStart(2, "0")} ${months[t.getMonth()]}`;
    if (step >= 86_400) return day;
    const time = `${String(t.getHours()).padStart(2, "0")}:${String(t.getMinutes()).padStart(2, "0")}`;
    return time === "00:00" && i > 0 ? day : time;
  });
}

export default function Plot(props: ChartProps) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const [at, setAt] = useState<number | null>(null);
  const { zone } = useSettings();
  const { set } = useWindow();
  const scheme = useComputedColorScheme();
  const bars = props.kind === "bars";
  const shape = JSON.stringify([
    scheme,
    zone,
    props.kind,
    props.height,
    props.max,
    isDaily(props),
    props.lines.map((l) => [l.label, l.color]),
  ]);
  const latest = useRef(props);
  latest.current = props;
  const chosen = useRef(set);
  chosen.current = set;

  // The chart is created again when its shape changes, not its values.
  useEffect(() => {
    const parent = box.current;
    if (!parent) return;
    const select = (from: number, to: number) => {
      const minute = (t: number, round: (n: number) => number) => new Date(round(t / 60) * 60_000);
      const end = Math.min(to, Date.now() / 1000); // the axis may reach beyond
      if (from < end) chosen.current(interval(minute(from, Math.floor), minute(end, Math.ceil)));
    };
    const made = new uPlot(options(latest.current, zone, parent.clientWidth, setAt, select), [[]], parent);
    plot.current = made;
    const resized = new ResizeObserver(() =>
      made.setSize({ width: parent.clientWidth, height: made.height }),
    );
    resized.observe(parent);
    return () => {
      resized.disconnect();
      plot.current = null;
      made.destroy();
    };
  }, [shape]);

  // A new chart needs the values too.
  useEffect(() => {
    const lines = bars ? stacked(props.lines).reverse() : props.lines.map((l) => l.values);
    plot.current?.setData([props.times, ...lines] as uPlot.AlignedData);
  }, [props.times, props.lines, shape]);

  const index = at ?? props.times.length - 1;
  const moment = props.times[index];
  return (
    <figure className="chart" aria-label={describe(props)}>
      <div ref={box} className="plot" />
      <figcaption>
        <span className="moment">
          {moment === undefined ? "" : full(new Date(moment * 1000), zone).slice(0, -3)}
        </span>
        {props.lines.map((line) => {
          const value = line.values[index];
          return (
            <span key={line.label} className="key">
              <i style={{ background: `var(--${line.color})` }} className={line.dashed ? "dashed" : ""} />
              {line.label} <b>{value === null || value === undefined ? "–" : props.format(value)}</b>
            </span>
          );
        })}
      </figcaption>
    </figure>
  );
}

function describe(props: ChartProps): string {
  const parts = props.lines.map((line) => {
    const known = line.values.filter((v): v is number => v !== null);
    const last = known.at(-1);
    if (last === undefined) return `${line.label}: no values`;
    return `${line.label}: latest ${props.format(last)}, highest ${props.format(known.reduce((a, b) => Math.max(a, b)))}`;
  });
  return `${props.label}. ${parts.join("; ")}`;
}
