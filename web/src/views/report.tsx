import { Link, useParams } from "wouter";
import { api, apiUrl, type Schemas } from "../api/client";
import { useLink, useParam } from "../lib/url";
import { Name, Status, When } from "../ui/bits";
import { Answer, Panel } from "../ui/panel";
import { type Column, DataTable } from "../ui/table";
import { inUnit, ObjectiveTable } from "./parts/objectives";

type Report = Schemas["Report"];
type Result = Schemas["ObjectiveResult"];

function useReport(id: string | undefined) {
  const path = { report_id: id ?? "" };
  return api.useQuery(
    "get",
    "/api/reports/{report_id}",
    { params: { path } },
    { enabled: !!id, staleTime: Number.POSITIVE_INFINITY },
  );
}

export default function ReportView() {
  const { id = "" } = useParams();
  const [other] = useParam("with");
  const report = useReport(id);
  const second = useReport(other || undefined);
  return (
    <Answer of={report} height={400}>
      {(r) => (
        <div className="view">
          <One of={r} half={!!other} />
          {other && <Answer of={second}>{(s) => <One of={s} half />}</Answer>}
          {other && second.data && <Side first={r} second={second.data} titles={["First", "Second"]} />}
          {!other && r.previous && (
            <Side
              first={{ objectives: r.previous.objectives }}
              second={r}
              titles={["Window before", "This window"]}
            />
          )}
        </div>
      )}
    </Answer>
  );
}

const formats = [
  ["html", "HTML"],
  ["markdown", "Markdown"],
  ["csv", "CSV"],
  ["json", "JSON"],
] as const;

function One({ of: r, half }: { of: Report; half: boolean }) {
  const url = `/api/reports/${encodeURIComponent(r.id)}`;
  return (
    <Panel
      title={r.name ? <Name of={r.name} /> : "Report"}
      className={half ? "half" : ""}
      window={r.window}
      source={url}
      aside={
        <>
          <Status of={r.verdict} />
          <When at={r.generated_at} />
          {formats.map(([format, label]) => (
            <a key={format} href={apiUrl(url, { format })} target="_blank" rel="noreferrer">
              {label}
            </a>
          ))}
        </>
      }
    >
      <ObjectiveTable objectives={r.objectives} label={`Objectives of ${r.name || "the report"} ${r.id}`} />
    </Panel>
  );
}

interface Pair {
  name: string;
  first?: Result;
  second?: Result;
}

/** The results of two reports by the name of the objective, in the order of the second. */
export function pairs(first: Result[], second: Result[]): Pair[] {
  const byName = new Map(first.map((o) => [o.name, o]));
  const both = second.map((o): Pair => ({ name: o.name, first: byName.get(o.name), second: o }));
  const names = new Set(second.map((o) => o.name));
  return [...both, ...first.filter((o) => !names.has(o.name)).map((o): Pair => ({ name: o.name, first: o }))];
}

function Cell({ of }: { of: Result | undefined }) {
  if (!of) return <span className="muted">not judged</span>;
  return <span className={of.met === false ? "bad-text" : ""}>{inUnit(of.actual, of.unit)}</span>;
}

interface SideProps {
  first: Pick<Report, "objectives">;
  second: Pick<Report, "objectives">;
  titles: [string, string];
}

function Side({ first, second, titles }: SideProps) {
  const link = useLink();
  const columns: Column<Pair>[] = [
    { id: "name", title: "Objective", cell: (p) => <Name of={p.name} />, sort: (p) => p.name },
    { id: "first", title: titles[0], number: true, cell: (p) => <Cell of={p.first} /> },
    { id: "second", title: titles[1], number: true, cell: (p) => <Cell of={p.second} /> },
    {
      id: "target",
      title: "Target",
      number: true,
      cell: (p) => {
        const o = p.second ?? p.first;
        return o ? `${o.comparison} ${inUnit(o.target, o.unit)}` : "";
      },
    },
  ];
  return (
    <Panel title="Side by side" aside={<Link href={link("/reports")}>All reports</Link>}>
      <DataTable
        label="Side by side"
        rows={pairs(first.objectives, second.objectives)}
        columns={columns}
        rowKey={(p) => p.name}
        sortParam="side"
      />
    </Panel>
  );
}
