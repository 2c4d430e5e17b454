import { api, apiUrl, type Schemas } from "../api/client";
import { count, exact, milliseconds, percent, rate } from "../lib/format";
import { useLive } from "../lib/query";
import { useWindow } from "../lib/url";
import { Stat, Stats } from "../ui/bits";
import { Chart, timesOf } from "../ui/chart";
import { Answer, Panel } from "../ui/panel";
import { type Column, DataTable } from "../ui/table";
import { Indexes, Tables } from "./parts/database";

// The thresholds by which the service is judged unless a report names others.
const latencyLimits = { p50: 50, p95: 200, p99: 500 } as const;
const errorLimit = 0.01;
const poolLimit = 0.8;
const queryLimit = 100;

export default function Api() {
  return (
    <div className="view even">
      <Traffic />
      <Latency />
      <Polls />
      <Database />
      <Endpoints />
      <Queries />
      <Tables />
      <Indexes />
    </div>
  );
}

function useMetrics() {
  const { query } = useWindow();
  const metrics = api.useQuery("get", "/api/metrics", { params: { query } }, useLive());
  return { metrics, source: apiUrl("/api/metrics", query) };
}

function useSeries() {
  const { query } = useWindow();
  const series = api.useQuery("get", "/api/metrics/series", { params: { query } }, useLive());
  return { series, source: apiUrl("/api/metrics/series", query) };
}

function Traffic() {
  const { series, source } = useSeries();
  return (
    <Panel title="Requests and errors" className="half" window={series.data?.window} source={source}>
      <Answer of={series} height={208} empty={(s) => !s.series[0] && "Nothing was asked in this window."}>
        {(s) => {
          const points = s.series[0]?.points ?? [];
          const known = (p: Schemas["TrafficPoint"], ratio: number) =>
            p.covered_seconds > 0 ? p.rps * ratio : null;
          return (
            <Chart
              label="Requests a second"
              times={timesOf(points, s.step_seconds)}
              format={rate}
              lines={[
                { label: "All", color: "c1", fill: true, values: points.map((p) => known(p, 1)) },
                { label: "4xx", color: "c2", values: points.map((p) => known(p, p.client_error_rate)) },
                { label: "5xx", color: "bad", values: points.map((p) => known(p, p.error_rate)) },
              ]}
            />
          );
        }}
      </Answer>
    </Panel>
  );
}

function Latency() {
  const { series, source } = useSeries();
  return (
    <Panel
      title="Latency"
      className="half"
      aside="thresholds: p50 50 ms, p95 200 ms, p99 500 ms"
      window={series.data?.window}
      source={source}
    >
      <Answer of={series} height={208} empty={(s) => !s.series[0] && "Nothing was asked in this window."}>
        {(s) => {
          const points = s.series[0]?.points ?? [];
          const of = (q: keyof typeof latencyLimits) => points.map((p) => p.latency_ms?.[q] ?? null);
          return (
            <Chart
              label="Latency of all requests"
              times={timesOf(points, s.step_seconds)}
              format={milliseconds}
              lines={[
                { label: "p50", color: "c3", values: of("p50") },
                { label: "p95", color: "c1", values: of("p95"), fill: true },
                { label: "p99", color: "c2", values: of("p99") },
              ]}
            />
          );
        }}
      </Answer>
    </Panel>
  );
}

function Polls() {
  const { query } = useWindow();
  const polls = api.useQuery("get", "/api/metrics/pending-deployments", { params: { query } }, useLive());
  return (
    <Panel
      title="Polls for deployments"
      className="half"
      window={polls.data?.window}
      source={apiUrl("/api/metrics/pending-deployments", query)}
    >
      <Answer of={polls} height={110}>
        {(p) => (
          <Stats>
            <Stat
              label="Per agent"
              value={rate(p.rps_per_agent)}
              note={`${count(p.agents)} agents on average`}
            />
            <Stat label="All" value={rate(p.rps)} note={`${percent(p.empty_ratio, 1)} found nothing`} />
            {(["p50", "p95", "p99"] as const).map((q) => (
              <Stat
                key={q}
                label={q}
                value={milliseconds(p.latency_ms?.[q])}
                note={`< ${latencyLimits[q]} ms`}
                tone={(p.latency_ms?.[q] ?? 0) >= latencyLimits[q] ? "bad" : undefined}
              />
            ))}
            <Stat
              label="5xx"
              value={percent(p.error_rate)}
              note="< 1 %"
              tone={p.error_rate >= errorLimit ? "bad" : undefined}
            />
          </Stats>
        )}
      </Answer>
    </Panel>
  );
}

function Database() {
  const { metrics, source } = useMetrics();
  return (
    <Panel title="Connection pool" className="half" window={metrics.data?.window} source={source}>
      <Answer of={metrics} height={110}>
        {({ database: { pool } }) => (
          <Stats>
            <Stat
              label="In use"
              value={percent(pool.utilization)}
              note="worst replica's mean, < 80 %"
              tone={pool.utilization >= poolLimit ? "bad" : undefined}
            />
            <Stat
              label="Peak"
              value={percent(pool.peak_utilization)}
              note="the most at a time"
              tone={pool.peak_utilization >= poolLimit ? "warn" : undefined}
            />
            <Stat label="Connections" value={count(pool.max)} note="limit of one replica" />
            <Stat label="Waits" value={count(pool.waits)} note="requests that waited" />
          </Stats>
        )}
      </Answer>
    </Panel>
  );
}

type Endpoint = Schemas["EndpointTraffic"];

function latency(
  q: "p50" | "p95" | "p99",
  limit: number,
  wide = false,
): Column<{ latency_ms?: Schemas["Latency"] }> {
  return {
    id: q,
    title: q,
    number: true,
    wide,
    cell: (e) => (
      <span className={(e.latency_ms?.[q] ?? 0) >= limit ? "bad-text" : ""}>
        {milliseconds(e.latency_ms?.[q])}
      </span>
    ),
    sort: (e) => e.latency_ms?.[q],
  };
}

const endpointColumns: Column<Endpoint>[] = [
  {
    id: "route",
    title: "Endpoint",
    cell: (e) => (
      <code className="route">
        <span className="muted">{e.method}</span> {e.route}
      </code>
    ),
    sort: (e) => e.route,
  },
  {
    id: "requests",
    title: "Requests",
    number: true,
    wide: true,
    cell: (e) => <span title={exact(e.requests)}>{count(e.requests)}</span>,
    sort: (e) => e.requests,
  },
  { id: "rps", title: "Rate", number: true, cell: (e) => rate(e.rps), sort: (e) => e.rps },
  latency("p50", latencyLimits.p50, true),
  latency("p95", latencyLimits.p95),
  latency("p99", latencyLimits.p99, true),
  {
    id: "max",
    title: "Max",
    number: true,
    wide: true,
    cell: (e) => milliseconds(e.latency_ms?.max),
    sort: (e) => e.latency_ms?.max,
  },
  {
    id: "errors",
    title: "5xx",
    number: true,
    cell: (e) => (
      <span className={e.error_rate >= errorLimit ? "bad-text" : ""}>{percent(e.error_rate)}</span>
    ),
    sort: (e) => e.error_rate,
  },
  {
    id: "statuses",
    title: "Errors by status",
    wide: true,
    cell: (e) =>
      Object.entries(e.errors_by_status)
        .map(([status, n]) => `${status}: ${count(n)}`)
        .join(", ") || <span className="muted">–</span>,
  },
];

function Endpoints() {
  const { metrics, source } = useMetrics();
  return (
    <Panel
      title="Endpoints"
      window={metrics.data?.window}
      source={source}
      aside={
        metrics.data &&
        `beside these: ${count(metrics.data.unauthenticated.requests)} without a valid token, ${count(metrics.data.probes.requests)} health checks`
      }
    >
      <Answer
        of={metrics}
        height={300}
        empty={(m) => m.endpoints.length === 0 && "Nothing was asked in this window."}
      >
        {(m) => (
          <DataTable
            label="Endpoints"
            rows={m.endpoints}
            columns={endpointColumns}
            rowKey={(e) => `${e.method} ${e.route}`}
            order="-requests"
          />
        )}
      </Answer>
    </Panel>
  );
}

const queryColumns: Column<Schemas["QueryMetrics"]>[] = [
  { id: "query", title: "Query", cell: (q) => <code>{q.query}</code>, sort: (q) => q.query },
  { id: "count", title: "Count", number: true, cell: (q) => count(q.count), sort: (q) => q.count },
  {
    id: "mean",
    title: "Mean",
    number: true,
    wide: true,
    cell: (q) => milliseconds(q.latency_ms?.mean),
    sort: (q) => q.latency_ms?.mean,
  },
  latency("p50", queryLimit, true),
  latency("p95", queryLimit),
  latency("p99", queryLimit),
  {
    id: "max",
    title: "Max",
    number: true,
    wide: true,
    cell: (q) => milliseconds(q.latency_ms?.max),
    sort: (q) => q.latency_ms?.max,
  },
  {
    id: "errors",
    title: "Errors",
    number: true,
    cell: (q) => <span className={q.errors > 0 ? "bad-text" : ""}>{count(q.errors)}</span>,
    sort: (q) => q.errors,
  },
];

function Queries() {
  const { metrics, source } = useMetrics();
  return (
    <Panel title="Database queries" aside="threshold: 100 ms" window={metrics.data?.window} source={source}>
      <Answer
        of={metrics}
        height={300}
        empty={(m) => m.database.queries.length === 0 && "No query ran in this window."}
      >
        {(m) => (
          <DataTable
            label="Database queries"
            rows={m.database.queries}
            columns={queryColumns}
            rowKey={(q) => q.query}
            sortParam="queries"
            order="-p99"
          />
        )}
      </Answer>
    </Panel>
  );
}
