import { Link } from "wouter";
import { api, apiUrl, type Schemas } from "../../api/client";
import { exact, milliseconds, percent, rate, usd } from "../../lib/format";
import { useLive } from "../../lib/query";
import { useLink } from "../../lib/url";
import { Name, Status, When } from "../../ui/bits";
import { Answer, Panel } from "../../ui/panel";
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

/** The objectives as the newest report judged them. */
export function Objectives() {
  const link = useLink();
  const live = useLive();
  const newest = api.useQuery("get", "/api/reports", { params: { query: { limit: 1 } } }, live);
  const id = newest.data?.reports[0]?.id;
  const report = api.useQuery(
    "get",
    "/api/reports/{report_id}",
    { params: { path: { report_id: id ?? "" } } },
    { enabled: id !== undefined, staleTime: Number.POSITIVE_INFINITY },
  );
  const none = newest.data?.reports.length === 0;
  return (
    <Panel
      title="Objectives"
      className="half"
      window={report.data?.window}
      source={id && apiUrl(`/api/reports/${id}`)}
      aside={
        report.data && (
          <>
            <Status of={report.data.verdict} />
            <span>
              by the <Link href={link(`/reports/${id}`)}>report</Link> of{" "}
              <When at={report.data.generated_at} />
            </span>
          </>
        )
      }
    >
      {none ? (
        <div className="empty">
          No report has been made. <Link href={link("/reports")}>Make one</Link> to judge the objectives.
        </div>
      ) : (
        <Answer of={id === undefined ? (newest as never as typeof report) : report} height={200}>
          {(r) => ("objectives" in r ? <ObjectiveTable objectives={r.objectives} /> : null)}
        </Answer>
      )}
    </Panel>
  );
}
