import { Link } from "wouter";
import type { Schemas } from "../../api/client";
import { count, exact, milliseconds } from "../../lib/format";
import { useLink } from "../../lib/url";
import { Money, Name, Status, When } from "../../ui/bits";
import { type Column, DataTable } from "../../ui/table";

type Row = Omit<Schemas["ExecutionSummary"], "user_id"> & { user_id: string };

/** The path of one execution. Ids are unique only with the user and the time. */
export function executionPath(x: {
  execution_id: string;
  user_id: string;
  created_at: string;
}): [string, Record<string, string>] {
  return [`/executions/${encodeURIComponent(x.execution_id)}`, { user: x.user_id, at: x.created_at }];
}

interface Props {
  rows: Row[];
  label: string;
}

/** Executions in the order in which they came. */
export function ExecutionTable({ rows, label }: Props) {
  const link = useLink();
  const columns: Column<Row>[] = [
    {
      id: "time",
      title: "Began",
      cell: (x) => (
        <Link href={link(...executionPath(x))} className="nowrap">
          <When at={x.created_at} absolute />
        </Link>
      ),
    },
    {
      id: "agent",
      title: "Agent",
      cell: (x) => (
        <>
          <Name of={x.agent_name} limit={60} />
          {x.kind !== "agent" && <span className="muted"> {x.kind}</span>}
        </>
      ),
    },
    { id: "status", title: "Status", cell: (x) => <Status of={x.status} /> },
    { id: "duration", title: "Duration", number: true, cell: (x) => milliseconds(x.execution_time_ms) },
    {
      id: "model",
      title: "Model",
      wide: true,
      cell: (x) => (x.model_used ? <Name of={x.model_used} limit={40} /> : <span className="muted">–</span>),
    },
    {
      id: "tokens",
      title: "Tokens",
      number: true,
      wide: true,
      cell: (x) => (
        <span title={`${exact(x.input_tokens)} in, ${exact(x.output_tokens)} out`}>
          {x.usage === "unknown" ? "unknown" : count(x.tokens_used)}
        </span>
      ),
    },
    {
      id: "cost",
      title: "Cost",
      number: true,
      cell: (x) => (x.model_used || x.tokens_used > 0 ? <Money of={x} /> : <span className="muted">–</span>),
    },
    {
      id: "user",
      title: "User",
      wide: true,
      cell: (x) => (
        <Link href={link(`/users/${encodeURIComponent(x.user_id)}`)}>
          <Name of={x.user_id} limit={24} />
        </Link>
      ),
    },
    {
      id: "error",
      title: "Error",
      wide: true,
      cell: (x) =>
        x.error_message ? (
          <span className="message">
            <Name of={x.error_message} limit={120} />
          </span>
        ) : null,
    },
  ];
  return (
    <DataTable
      label={label}
      rows={rows}
      columns={columns}
      rowKey={(x) => x.execution_id + x.user_id + x.created_at}
    />
  );
}
