import type { ReactNode } from "react";
import { useParam } from "../lib/url";

export interface Column<T> {
  id: string;
  title: string;
  cell: (row: T) => ReactNode;
  /** Numbers are aligned to the right. */
  number?: boolean;
  /** What to sort by; without it the column cannot be sorted. */
  sort?: (row: T) => number | string | null | undefined;
  /** Left out on narrow screens. */
  wide?: boolean;
}

interface TableProps<T> {
  rows: T[];
  columns: Column<T>[];
  rowKey: (row: T) => string;
  label: string;
  /** The name of the address's parameter with the order; tables of one view have different ones. */
  sortParam?: string;
  /** The order without one in the address, such as "-count" for the highest count first. */
  order?: string;
  /** Whether the rows are all there are. A page of more cannot be sorted here. */
  whole?: boolean;
}

function compare(a: number | string | null | undefined, b: number | string | null | undefined): number {
  if (a === b) return 0;
  if (a === null || a === undefined) return -1;
  if (b === null || b === undefined) return 1;
  return typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
}

export function sorted<T>(rows: T[], columns: Column<T>[], order: string): T[] {
  const down = order.startsWith("-");
  const by = columns.find((c) => c.id === order.replace(/^-/, ""))?.sort;
  if (!by) return rows;
  return [...rows].sort((a, b) => (down ? -1 : 1) * compare(by(a), by(b)));
}

export function DataTable<T>({
  rows,
  columns,
  rowKey,
  label,
  sortParam = "sort",
  order = "",
  whole = true,
}: TableProps<T>) {
  const [current, setOrder] = useParam(sortParam, order);
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard
    <section className="scroll" tabIndex={0} aria-label={`${label}, table`}>
      <table className="table rows">
        <thead>
          <tr>
            {columns.map((c) => (
              <Heading
                key={c.id}
                column={whole ? c : { ...c, sort: undefined }}
                order={current}
                setOrder={setOrder}
              />
            ))}
          </tr>
        </thead>
        <tbody>
          {(whole ? sorted(rows, columns, current) : rows).map((row) => (
            <tr key={rowKey(row)}>
              {columns.map((c) => (
                <td key={c.id} className={classes(c)} data-title={c.title}>
                  {c.cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function classes<T>(c: Column<T>): string {
  return `${c.number ? "number" : ""} ${c.wide ? "wide" : ""} ${c.sort ? "" : "plain"}`;
}

interface HeadingProps<T> {
  column: Column<T>;
  order: string;
  setOrder: (order: string) => void;
}

function Heading<T>({ column, order, setOrder }: HeadingProps<T>) {
  if (!column.sort) {
    return (
      <th scope="col" className={classes(column)}>
        {column.title}
      </th>
    );
  }
  const up = order === column.id;
  const down = order === `-${column.id}`;
  const first = column.number ? `-${column.id}` : column.id;
  const second = column.number ? column.id : `-${column.id}`;
  return (
    <th scope="col" className={classes(column)} aria-sort={up ? "ascending" : down ? "descending" : "none"}>
      <button type="button" onClick={() => setOrder(order === first ? second : first)}>
        {column.title}
        <span aria-hidden="true" className="arrow">
          {up ? "↑" : down ? "↓" : ""}
        </span>
      </button>
    </th>
  );
}
