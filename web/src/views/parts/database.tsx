import { api, type Schemas } from "../../api/client";
import { bytes, count, exact, percent } from "../../lib/format";
import { useLive } from "../../lib/query";
import { Name, When } from "../../ui/bits";
import { Answer, Panel } from "../../ui/panel";
import { type Column, DataTable } from "../../ui/table";

type Table = Schemas["TableUsage"];
type Index = Schemas["IndexUsage"];

function size<T extends { bytes: number }>(): Column<T> {
  return {
    id: "size",
    title: "Size",
    number: true,
    cell: (x) => <span title={`${exact(x.bytes)} bytes`}>{bytes(x.bytes)}</span>,
    sort: (x) => x.bytes,
  };
}

const tableColumns: Column<Table>[] = [
  {
    id: "table",
    title: "Table",
    cell: (t) => (
      <>
        <Name of={t.name} />
        {t.partitions > 1 && <span className="muted"> {count(t.partitions)} partitions</span>}
      </>
    ),
    sort: (t) => t.name,
  },
  size(),
  { id: "rows", title: "Rows", number: true, cell: (t) => count(t.rows), sort: (t) => t.rows },
  {
    id: "dead",
    title: "Dead",
    number: true,
    wide: true,
    cell: (t) => percent(deadOf(t), 1),
    sort: deadOf,
  },
  {
    id: "index",
    title: "By index",
    number: true,
    cell: (t) => (t.index_scans + t.table_scans > 0 ? percent(byIndex(t), 1) : "–"),
    sort: byIndex,
  },
  {
    id: "scans",
    title: "Whole scans",
    number: true,
    wide: true,
    cell: (t) => count(t.table_scans),
    sort: (t) => t.table_scans,
  },
];

function deadOf(t: Table): number {
  return t.dead_rows > 0 ? t.dead_rows / (t.rows + t.dead_rows) : 0;
}

/** The share of a table's scans that used an index. */
export function byIndex(t: Pick<Table, "index_scans" | "table_scans">): number {
  const all = t.index_scans + t.table_scans;
  return all > 0 ? t.index_scans / all : 0;
}

const indexColumns: Column<Index>[] = [
  { id: "index", title: "Index", cell: (x) => <Name of={x.name} />, sort: (x) => x.name },
  { id: "of", title: "Table", wide: true, cell: (x) => <Name of={x.table} />, sort: (x) => x.table },
  size(),
  {
    id: "scans",
    title: "Scans",
    number: true,
    cell: (x) => (x.scans > 0 ? count(x.scans) : <span className="muted">none</span>),
    sort: (x) => x.scans,
  },
];

function useDatabase() {
  return api.useQuery("get", "/api/admin/database", {}, useLive());
}

export function Tables() {
  const database = useDatabase();
  return (
    <Panel
      title="Tables"
      className="half"
      source="/api/admin/database"
      aside={database.data && <Since of={database.data} />}
    >
      <Answer of={database} height={240} empty={(d) => d.tables.length === 0 && "There is no table."}>
        {(d) => (
          <DataTable
            label="Tables"
            rows={d.tables}
            columns={tableColumns}
            rowKey={(t) => t.name}
            sortParam="tables"
            order="-size"
          />
        )}
      </Answer>
    </Panel>
  );
}

export function Indexes() {
  const database = useDatabase();
  return (
    <Panel title="Indexes" className="half" source="/api/admin/database">
      <Answer of={database} height={240} empty={(d) => d.indexes.length === 0 && "There is no index."}>
        {(d) => (
          <DataTable
            label="Indexes"
            rows={d.indexes}
            columns={indexColumns}
            rowKey={(x) => `${x.table} ${x.name}`}
            sortParam="indexes"
            order="-size"
          />
        )}
      </Answer>
    </Panel>
  );
}

function Since({ of: d }: { of: Schemas["DatabaseUsage"] }) {
  return (
    <span>
      {bytes(d.bytes)} in all, scans{" "}
      {d.since ? (
        <>
          since <When at={d.since} absolute />
        </>
      ) : (
        "since the beginning"
      )}
    </span>
  );
}
