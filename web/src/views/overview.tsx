import { Link } from "wouter";
import { api, apiUrl } from "../api/client";
import { count, milliseconds, percent, rate, seconds } from "../lib/format";
import { useLive } from "../lib/query";
import { useLink, useWindow } from "../lib/url";
import { Name, Stat, Stats, When } from "../ui/bits";
import { Chart, timesOf } from "../ui/chart";
import { Answer, Panel } from "../ui/panel";
import { Alerts } from "./parts/alerts";
import { FleetCounts } from "./parts/fleetcounts";
import { Objectives } from "./parts/objectives";
import { SpendStats } from "./parts/spend";

export default function Overview() {
  return (
    <div className="view even">
      <Now />
      <Traffic />
      <Durations />
      <Objectives />
      <Alerts />
      <Failures />
    </div>
  );
}

function Now() {
  const { query, hours, days, label } = useWindow();
  const link = useLink();
  const live = useLive();
  const executions = api.useQuery("get", "/api/admin/metrics", { params: { query } }, live);
  const service = api.useQuery("get", "/api/metrics", { params: { query } }, live);
  const users = api.useQuery("get", "/api/admin/users", { params: { query: { days, limit: 1 } } }, live);
  const health = api.useQuery("get", "/api/health", {}, live);
  return (
    <>
      <Panel
        title="AI agents"
        className="half glance"
        aside={label}
        window={executions.data?.metrics.window}
        source={apiUrl("/api/admin/metrics", query)}
      >
        <Answer of={executions} height={110}>
          {({ metrics: m }) => (
            <Stats>
              <Stat
                label="Requests"
                value={count(m.total_requests)}
                note={`${rate(m.total_requests / hours / 60).replace("/s", "")} a minute`}
                to={link("/executions")}
              />
              <Stat
                label="Success rate"
                value={m.total_requests === 0 ? "–" : percent(m.success_rate)}
                note={`${count(m.failed)} failed, ${count(m.timeouts)} timed out`}
                tone={m.total_requests > 0 && m.success_rate < 0.95 ? "bad" : undefined}
                to={link("/executions", { status: "failed" })}
              />
              <Stat
                label="p95 duration"
                value={m.total_requests === 0 ? "–" : milliseconds(m.execution_time_ms.p95)}
                note={`p50 ${milliseconds(m.execution_time_ms.p50)}`}
                to={link("/agents")}
              />
              <Stat
                label="Active users"
                value={count(users.data?.active_users)}
                note={days === 1 ? "today (UTC)" : `in ${days} days`}
                to={link("/users")}
              />
            </Stats>
          )}
        </Answer>
      </Panel>
      <Panel
        title="API"
        className="half glance"
        aside={label}
        window={service.data?.window}
        source={apiUrl("/api/metrics", query)}
      >
        <Answer of={service} height={110}>
          {(m) => (
            <Stats>
              <Stat
                label="Requests"
                value={rate(m.totals.rps)}
                note={`${count(m.totals.requests)} in all`}
                to={link("/api")}
              />
              <Stat
                label="5xx answers"
                value={percent(m.totals.error_rate)}
                note={`4xx ${percent(m.totals.client_error_rate)}`}
                tone={m.totals.error_rate >= 0.01 ? "bad" : undefined}
                to={link("/api")}
              />
              <Stat
                label="p95 latency"
                value={milliseconds(m.totals.latency_ms?.p95)}
                note={`p99 ${milliseconds(m.totals.latency_ms?.p99)}`}
                tone={(m.totals.latency_ms?.p95 ?? 0) >= 200 ? "warn" : undefined}
                to={link("/api")}
              />
              <Stat
                label="This replica"
                value={health.data?.status ?? "–"}
                note={health.data ? `up for ${seconds(health.data.uptime_seconds)}` : undefined}
                tone={health.data && health.data.status !== "ok" ? "bad" : undefined}
                to={link("/settings")}
              />
            </Stats>
          )}
        </Answer>
      </Panel>
      <FleetCounts className="half glance" />
      <SpendStats className="half glance" />
    </>
  );
}

function useSeries() {
  const { query } = useWindow();
  const series = api.useQuery("get", "/api/admin/metrics/series", { params: { query } }, useLive());
  return { series, source: apiUrl("/api/admin/metrics/series", query) };
}

function Traffic() {
  const { series, source } = useSeries();
  return (
    <Panel title="Requests to AI agents" className="half" window={series.data?.series.window} source={source}>
      <Answer
        of={series}
        height={208}
        empty={({ series: s }) => !s.series[0] && "Nothing ran in this window."}
      >
        {({ series: s }) => {
          const points = s.series[0]?.points ?? [];
          return (
            <Chart
              label="Requests to AI agents by outcome"
              kind="bars"
              times={timesOf(points, s.step_seconds)}
              format={count}
              lines={[
                { label: "Succeeded", color: "c1", values: points.map((p) => p.successful) },
                { label: "Failed", color: "bad", values: points.map((p) => p.failed) },
              ]}
            />
          );
        }}
      </Answer>
    </Panel>
  );
}

function Durations() {
  const { series, source } = useSeries();
  return (
    <Panel
      title="Durations of AI agents"
      className="half"
      window={series.data?.series.window}
      source={source}
    >
      <Answer
        of={series}
        height={208}
        empty={({ series: s }) => !s.series[0] && "Nothing ran in this window."}
      >
        {({ series: s }) => {
          const points = s.series[0]?.points ?? [];
          const of = (q: "p50" | "p95" | "p99") =>
            points.map((p) => (p.count > 0 ? p.execution_time_ms[q] : null));
          return (
            <Chart
              label="Durations of AI agents' requests"
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

function Failures() {
  const link = useLink();
  const errors = api.useQuery("get", "/api/admin/errors", { params: { query: { limit: 8 } } }, useLive());
  return (
    <Panel
      title="Last failures of AI agents"
      className="half"
      aside={<Link href={link("/executions", { status: "failed" })}>All failures</Link>}
      source={apiUrl("/api/admin/errors", { limit: 8 })}
    >
      <Answer of={errors} height={200} empty={(e) => e.errors.length === 0 && "Nothing has failed yet."}>
        {(e) => (
          <ul className="failures">
            {e.errors.map((x) => (
              <li key={x.execution_id + x.created_at}>
                <Link href={link(`/executions/${encodeURIComponent(x.execution_id)}`)}>
                  <Name of={x.agent_name} limit={40} />
                </Link>
                <span className="reason">
                  <Name of={x.error_message ?? x.status} limit={140} />
                </span>
                <When at={x.created_at} />
              </li>
            ))}
          </ul>
        )}
      </Answer>
    </Panel>
  );
}
