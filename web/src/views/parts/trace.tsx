import { Link } from "wouter";
import type { Schemas } from "../../api/client";
import { milliseconds } from "../../lib/format";
import { useLink } from "../../lib/url";
import { Money, Name } from "../../ui/bits";
import { Panel } from "../../ui/panel";
import { executionPath } from "./executiontable";

type Node = Schemas["ExecutionNode"];
type Summary = Schemas["ExecutionSummary"];

export interface Row {
  execution: Summary;
  depth: number;
}

/** The tree line by line, each with its depth. */
export function flatten(nodes: Node[], depth = 0): Row[] {
  return nodes.flatMap((n) => [{ execution: n.execution, depth }, ...flatten(n.children, depth + 1)]);
}

function begin(x: Summary): number {
  return new Date(x.created_at).getTime();
}

/** When the first execution began and the last ended. */
export function extent(rows: Row[]): { from: number; length: number } {
  const from = rows.reduce((t, r) => Math.min(t, begin(r.execution)), Number.POSITIVE_INFINITY);
  const to = rows.reduce((t, r) => Math.max(t, begin(r.execution) + r.execution.execution_time_ms), 0);
  return { from, length: Math.max(to - from, 1) };
}

/** The executions of a trace as a tree, each with its place in time. */
export function Trace({
  of: trace,
  current,
}: {
  of: Schemas["ExecutionTrace"];
  current: Schemas["Execution"];
}) {
  const link = useLink();
  const rows = flatten(trace.roots);
  const { from, length } = extent(rows);
  return (
    <Panel
      title="Trace"
      aside={`${trace.executions} executions in ${milliseconds(length)}${trace.complete ? "" : ", the earliest of more"}`}
    >
      <ol className="trace" aria-label="Executions of the trace">
        {rows.map(({ execution: x, depth }) => {
          const left = ((begin(x) - from) / length) * 100;
          const width = Math.min((x.execution_time_ms / length) * 100, 100 - left);
          const isCurrent = x.execution_id === current.execution_id && x.created_at === current.created_at;
          return (
            <li key={x.execution_id + x.created_at} className="span" aria-current={isCurrent}>
              <span style={{ paddingLeft: Math.min(depth, 16) * 16 }}>
                <Link href={link(...executionPath(x))}>
                  <Name of={x.agent_name} limit={60} />
                </Link>{" "}
                <span className="muted">
                  {x.kind !== "agent" && x.kind}
                  {x.model_used && (
                    <>
                      {" "}
                      <Name of={x.model_used} limit={40} />
                    </>
                  )}
                </span>
              </span>
              <span className="track" aria-hidden="true">
                <i
                  className={x.status === "success" ? "" : "bad"}
                  style={{ left: `${left}%`, width: `${width}%` }}
                />
              </span>
              <span className="number">{milliseconds(x.execution_time_ms)}</span>
              <span className="number money">
                {x.cost_usd === null && x.tokens_used === 0 ? "" : <Money of={x} />}
              </span>
            </li>
          );
        })}
      </ol>
    </Panel>
  );
}
