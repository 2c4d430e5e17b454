import { SegmentedControl } from "@mantine/core";
import { useMemo } from "react";
import { Link } from "wouter";
import { api, apiUrl, type Schemas } from "../api/client";
import { count, exact, milliseconds, percent, usd } from "../lib/format";
import { useLive } from "../lib/query";
import { printable } from "../lib/text";
import { beginOf, useLink, useParam, useWindow, windowOf } from "../lib/url";
import { Money, Name, When } from "../ui/bits";
import { Chart, colorOf, timesOf } from "../ui/chart";
import { Answer, Panel } from "../ui/panel";
import { type Column, DataTable } from "../ui/table";
import { executionPath } from "./parts/executiontable";

type Figures = Schemas["ExecutionFigures"];
type Row = Figures & { name: string };
type By = "agent" | "model";

function rows(by: Record<string, Figures>): Row[] {
  return Object.entries(by).map(([name, figures]) => ({ ...figures, name }));
}

function useColumns(by: By): Column<Row>[] {
  const link = useLink();
  const told = (name: string) => name !== "other" && !(by === "agent" && name === "unknown") && name !== "";
  return [
    {
      id: "name",
      title: by === "agent" ? "Agent" : "Model",
      cell: (r) =>
        told(r.name) ? (
          <Link href={link("/executions", { [by]: r.name })}>
            <Name of={r.name} />
          </Link>
        ) : (
          <span className="muted">{r.name === "" ? "not named" : r.name}</span>
        ),
      sort: (r) => r.name,
    },
    {
      id: "count",
      title: by === "agent" ? "Requests" : "Calls",
      number: true,
      cell: (r) => <span title={exact(r.count)}>{count(r.count)}</span>,
      sort: (r) => r.count,
    },
    {
      id: "success",
      title: "Success",
      number: true,
      cell: (r) =>
        r.count === 0 ? (
          "–"
        ) : (
          <span className={r.success_rate < 0.95 ? "bad-text" : ""}>{percent(r.success_rate)}</span>
        ),
      sort: (r) => (r.count === 0 ? null : r.success_rate),
    },
    {
      id: "timeouts",
      title: "Timeouts",
      number: true,
      wide: true,
      cell: (r) => count(r.timeouts),
      sort: (r) => r.timeouts,
    },
    {
      id: "p50",
      title: "p50",
      number: true,
      wide: true,
      cell: (r) => (r.count === 0 ? "–" : milliseconds(r.execution_time_ms.p50)),
      sort: (r) => (r.count === 0 ? null : r.execution_time_ms.p50),
    },
    {
      id: "p95",
      title: "p95",
      number: true,
      cell: (r) => (r.count === 0 ? "–" : milliseconds(r.execution_time_ms.p95)),
      sort: (r) => (r.count === 0 ? null : r.execution_time_ms.p95),
    },
    {
      id: "p99",
      title: "p99",
      number: true,
      wide: true,
      cell: (r) => (r.count === 0 ? "–" : milliseconds(r.execution_time_ms.p99)),
      sort: (r) => (r.count === 0 ? null : r.execution_time_ms.p99),
    },
    {
      id: "tokens",
      title: "Tokens",
      number: true,
      wide: true,
      cell: (r) => (
        <span title={`${exact(r.tokens.input)} in, ${exact(r.tokens.output)} out`}>
          {count(r.total_tokens)}
        </span>
      ),
      sort: (r) => r.total_tokens,
    },
    { id: "cost", title: "Cost", number: true, cell: (r) => <Money of={r} />, sort: (r) => r.cost_usd },
    {
      id: "unpriced",
      title: "Without a price",
      number: true,
      wide: true,
      cell: (r) =>
        r.unpriced_tokens > 0 ? `${count(r.unpriced_tokens)} tokens` : <span className="muted">–</span>,
      sort: (r) => r.unpriced_tokens,
    },
  ];
}

export default function Agents() {
  return (
    <div className="view even">
      <Series />
      <Table by="agent" />
      <Table by="model" />
      <Errors />
    </div>
  );
}

function Table({ by }: { by: By }) {
  const { query } = useWindow();
  const columns = useColumns(by);
  const metrics = api.useQuery("get", "/api/admin/metrics", { params: { query } }, useLive());
  return (
    <Panel
      title={by === "agent" ? "By agent" : "By model"}
      aside={by === "model" ? "A call of a model belongs to a request" : undefined}
      window={metrics.data?.metrics.window}
      source={apiUrl("/api/admin/metrics", query)}
    >
      <Answer
        of={metrics}
        height={180}
        empty={({ metrics: m }) =>
          Object.keys(by === "agent" ? m.agent_metrics : m.model_metrics).length === 0 &&
          "Nothing ran in this window."
        }
      >
        {({ metrics: m }) => (
          <DataTable
            label={by === "agent" ? "Figures by agent" : "Figures by model"}
            rows={rows(by === "agent" ? m.agent_metrics : m.model_metrics)}
            columns={columns}
            rowKey={(r) => r.name}
            sortParam={by}
            order="-count"
          />
        )}
      </Answer>
    </Panel>
  );
}

type Point = Schemas["ExecutionPoint"];

const figures: Record<
  string,
  { title: string; of: (p: Point) => number | null; format: (n: number) => string; bars: boolean }
> = {
  count: { title: "Requests", of: (p) => p.count, format: count, bars: true },
  errors: {
    title: "Errors",
    of: (p) => (p.count > 0 ? p.error_rate : null),
    format: (n) => percent(n, 1),
    bars: false,
  },
  p95: {
    title: "p95",
    of: (p) => (p.count > 0 ? p.execution_time_ms.p95 : null),
    format: milliseconds,
    bars: false,
  },
  tokens: { title: "Tokens", of: (p) => p.total_tokens, format: count, bars: true },
  cost: { title: "Cost", of: (p) => p.cost_usd, format: (n) => usd(n), bars: true },
};

function Series() {
  const { query: window } = useWindow();
  const [by, setBy] = useParam("by", "agent");
  const [figure, setFigure] = useParam("figure", "count");
  const group = by === "model" ? "model" : "agent";
  const query = { ...window, group_by: group as By, limit: 6 };
  const series = api.useQuery("get", "/api/admin/metrics/series", { params: { query } }, useLive());
  const shown = figures[figure] ?? figures.count;
  return (
    <Panel
      title={`${shown?.title} over time`}
      window={series.data?.series.window}
      source={apiUrl("/api/admin/metrics/series", query)}
      aside={
        <>
          <SegmentedControl
            size="xs"
            aria-label="Figure"
            value={figure}
            onChange={setFigure}
            data={Object.entries(figures).map(([value, f]) => ({ value, label: f.title }))}
          />
          <SegmentedControl
            size="xs"
            aria-label="Grouped by"
            value={group}
            onChange={setBy}
            data={[
              { value: "agent", label: "By agent" },
              { value: "model", label: "By model" },
            ]}
          />
        </>
      }
    >
      <Answer
        of={series}
        height={248}
        empty={({ series: s }) => s.series.length === 0 && "Nothing ran in this window."}
      >
        {({ series: s }) =>
          shown && (
            <Chart
              label={`${shown.title} by ${group}`}
              height={220}
              kind={shown.bars ? "bars" : "lines"}
              times={timesOf(s.series[0]?.points ?? [], s.step_seconds)}
              format={shown.format}
              lines={s.series.map((one, i) => ({
                label: printable(one.key) || "not named",
                color: colorOf(i, one.key),
                values: one.points.map(shown.of),
              }))}
            />
          )
        }
      </Answer>
    </Panel>
  );
}

type Failed = Pick<
  Schemas["ExecutionSummary"],
  "agent_name" | "error_message" | "status" | "created_at" | "execution_id" | "user_id"
>;

interface Group {
  message: string;
  count: number;
  /** The newest of them. */
  newest: Failed;
}

const varying = /[0-9a-f]{8,}|[0-9]+/gi;

/** The longest part of a message that others of its kind have too. */
export function wordsOf(message: string): string {
  const parts = message.slice(0, 200).split(varying);
  return parts.reduce((a, b) => (b.length > a.length ? b : a), "").trim();
}

/** Failures with the same agent and message together. Numbers and ids in a message do not tell two apart. */
export function grouped(errors: Failed[]): Group[] {
  const groups = new Map<string, Group>();
  for (const e of errors) {
    const message = e.error_message ?? (e.status === "timeout" ? "timed out" : "no message");
    const key = `${e.agent_name}\n${message.replace(varying, "#")}`;
    const known = groups.get(key);
    if (known) known.count++;
    else groups.set(key, { message, count: 1, newest: e });
  }
  return [...groups.values()];
}

const sampled = 500;

function Errors() {
  const link = useLink();
  const { id, query: asked } = useWindow();
  // Of the last hours a list needs the beginning. It is taken to the minute, so that the question stays the same.
  const from = useMemo(() => beginOf(windowOf(id, Date.now()), Date.now()), [id]);
  const to = "to" in asked ? asked.to : undefined;
  const query = { status: "failed" as const, from, to, limit: sampled };
  const errors = api.useQuery("get", "/api/admin/executions", { params: { query } }, useLive());
  const columns: Column<Group>[] = [
    {
      id: "message",
      title: "Message",
      cell: (g) => (
        <Link href={link(...executionPath(g.newest))} className="message">
          <Name of={g.message} limit={200} />
        </Link>
      ),
      sort: (g) => g.message,
    },
    {
      id: "agent",
      title: "Agent",
      cell: (g) => (
        <Link href={link("/executions", { agent: g.newest.agent_name, status: "failed" })}>
          <Name of={g.newest.agent_name} />
        </Link>
      ),
      sort: (g) => g.newest.agent_name,
    },
    {
      id: "count",
      title: "Count",
      number: true,
      cell: (g) => (
        <Link
          href={link("/executions", {
            agent: g.newest.agent_name,
            status: "failed",
            error: g.newest.error_message ? wordsOf(g.newest.error_message) : undefined,
          })}
        >
          {count(g.count)}
        </Link>
      ),
      sort: (g) => g.count,
    },
    {
      id: "last",
      title: "Last",
      number: true,
      cell: (g) => <When at={g.newest.created_at} />,
      sort: (g) => g.newest.created_at,
    },
  ];
  return (
    <Panel
      title="Failures by message"
      aside={errors.data?.next_cursor ? `of the newest ${errors.data.executions.length}` : undefined}
      window={{ from, to: to ?? new Date().toISOString() }}
      source={apiUrl("/api/admin/executions", query)}
    >
      <Answer
        of={errors}
        height={180}
        empty={(e) => e.executions.length === 0 && "Nothing has failed in this window."}
      >
        {(e) => (
          <DataTable
            label="Failures by message"
            rows={grouped(e.executions)}
            columns={columns}
            rowKey={(g) => g.newest.agent_name + g.message}
            sortParam="errors"
            order="-count"
          />
        )}
      </Answer>
    </Panel>
  );
}
