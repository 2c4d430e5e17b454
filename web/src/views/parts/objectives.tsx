import { useQueries } from "@tanstack/react-query";
import { Link } from "wouter";
import { api, apiUrl, type Schemas } from "../../api/client";
import { exact, milliseconds, percent, rate, usd } from "../../lib/format";
import { useLive } from "../../lib/query";
import { useLink } from "../../lib/url";
import { Name, Status, When } from "../../ui/bits";
import { Panel } from "../../ui/panel";
import { Failure } from "../../ui/states";
import { type Column, DataTable } from "../../ui/table";

type Result = Schemas["ObjectiveResult"];

/** A figure of an objective in its own unit. */
export function inUnit(value: number | null, unit: string): string {
  if (value === null) return "–";
  switch (unit) {
    case "ms":
      return milliseconds(value);
    case "ratio":
      return percent(value);
    case "USD":
      return usd(value);
    default:
      return unit === "polls/s per agent" ? rate(value) : `${exact(value)} ${unit}`;
  }
}

const columns: Column<Result>[] = [
  {
    id: "name",
    title: "Objective",
    cell: (o) => (
      <span title={o.description}>
        <Name of={o.name} />
      </span>
    ),
    sort: (o) => o.name,
  },
  {
    id: "actual",
    title: "Actual",
    number: true,
    cell: (o) => `${o.at_least ? "≥ " : ""}${inUnit(o.actual, o.unit)}`,
  },
  {
    id: "target",
    title: "Target",
    number: true,
    wide: true,
    cell: (o) =>
      `${o.comparison} ${inUnit(o.target, o.unit)}${o.tolerance ? ` × ${percent(o.tolerance)}` : ""}`,
  },
  {
    id: "budget",
    title: "Budget left",
    number: true,
    cell: (o) =>
      o.error_budget_remaining === undefined ? (
        <span className="muted">–</span>
      ) : (
        <span className={o.error_budget_remaining < 0 ? "bad-text" : ""}>
          {percent(o.error_budget_remaining, 1)}
        </span>
      ),
    sort: (o) => o.error_budget_remaining,
  },
  {
    id: "met",
    title: "Result",
    cell: (o) => (
      <span title={o.detail}>
        {o.met === null ? (
          <Status of="No data" tone="none" />
        ) : (
          <Status of={o.met ? "Met" : "Missed"} tone={o.met ? "ok" : "bad"} />
        )}
      </span>
    ),
    sort: (o) => (o.met === null ? 1 : o.met ? 2 : 0),
  },
];

export function ObjectiveTable({
  objectives,
  label = "Objectives",
}: {
  objectives: Result[];
  label?: string;
}) {
  return (
    <DataTable
      label={label}
      rows={objectives}
      columns={columns}
      rowKey={(o) => o.name}
      sortParam="objectives"
      order="met"
    />
  );
}

type Summary = Schemas["ReportSummary"];

/** The newest report of each name, at most `most`; those of Kubernetes and of administrators have different ones. */
export function newestOfEach<T extends Pick<Summary, "name" | "namespace">>(reports: T[], most: number): T[] {
  const seen = new Set<string>();
  return reports
    .filter((r) => {
      const key = JSON.stringify([r.namespace ?? "", r.name]);
      return !seen.has(key) && seen.add(key);
    })
    .slice(0, most);
}

/** The objectives as the newest report of each name judged them. */
export function Objectives() {
  const link = useLink();
  const live = useLive();
  const list = api.useQuery("get", "/api/reports", { params: { query: { limit: 100 } } }, live);
  const newest = newestOfEach(list.data?.reports ?? [], 6);
  const reports = useQueries({
    queries: newest.map((r) =>
      api.queryOptions(
        "get",
        "/api/reports/{report_id}",
        { params: { path: { report_id: r.id } } },
        { staleTime: Number.POSITIVE_INFINITY },
      ),
    ),
  });
  const judged = reports.flatMap((r) => (r.data && r.data.objectives.length > 0 ? [r.data] : []));
  const failed = reports.find((r) => r.isError && r.data === undefined);
  const loading = list.isPending || reports.some((r) => r.isPending && r.fetchStatus !== "idle");
  const first = judged[0];
  return (
    <Panel
      title="Objectives"
      className="half"
      window={judged.length === 1 ? first?.window : undefined}
      source={first && apiUrl(judged.length === 1 ? `/api/reports/${first.id}` : "/api/reports", {})}
    >
      {list.data === undefined && list.isError ? (
        <Failure error={list.error} retry={() => list.refetch()} />
      ) : failed ? (
        <Failure error={failed.error} retry={() => failed.refetch()} />
      ) : loading && judged.length === 0 ? (
        <div className="skeleton" style={{ height: 200 }} role="status" aria-label="Loading" />
      ) : judged.length === 0 ? (
        <div className="empty">
          No report has judged an objective. <Link href={link("/reports")}>Make one</Link> to see the budgets.
        </div>
      ) : (
        judged.map((r) => (
          <div key={r.id} className="judged">
            <p className="remark">
              <Status of={r.verdict} />{" "}
              <Link href={link(`/reports/${r.id}`)}>
                <Name of={r.name || "Report"} limit={60} />
              </Link>{" "}
              <span className="muted">
                of <When at={r.generated_at} />
              </span>
            </p>
            <ObjectiveTable
              objectives={r.objectives}
              label={`Objectives of ${r.name || "the report"} ${r.id}`}
            />
          </div>
        ))
      )}
    </Panel>
  );
}
