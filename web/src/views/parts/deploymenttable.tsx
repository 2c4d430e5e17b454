import { Link } from "wouter";
import type { Schemas } from "../../api/client";
import { milliseconds } from "../../lib/format";
import { useLink } from "../../lib/url";
import { Name, Status, When } from "../../ui/bits";
import { type Column, DataTable } from "../../ui/table";

type Deployment = Schemas["Deployment"];

function between(from: string | undefined, to: string | undefined): number | null {
  return from && to ? new Date(to).getTime() - new Date(from).getTime() : null;
}

/** How long a deployment waited until its latest attempt was claimed. After a retry that is since the retry was due. */
export function pickUp(d: Deployment): number | null {
  return between(d.attempt > 1 ? d.available_at : d.created_at, d.started_at);
}

export function took(d: Deployment): number | null {
  return between(d.started_at, d.finished_at);
}

interface Props {
  rows: Deployment[];
  withAgent?: boolean;
  /** Whether the rows are all there are. */
  whole: boolean;
}

export function DeploymentTable({ rows, withAgent = true, whole }: Props) {
  const link = useLink();
  const agent: Column<Deployment>[] = [
    {
      id: "agent",
      title: "Agent",
      cell: (d) => (
        <Link href={link(`/fleet/${encodeURIComponent(d.agent_id)}`)}>
          <Name of={d.agent_id} limit={40} />
        </Link>
      ),
      sort: (d) => d.agent_id,
    },
  ];
  const columns: Column<Deployment>[] = [
    {
      id: "name",
      title: "Deployment",
      cell: (d) => (
        <Link href={link(`/deployments/${d.id}`)}>
          <Name of={d.name} limit={60} />
        </Link>
      ),
      sort: (d) => d.name,
    },
    ...(withAgent ? agent : []),
    {
      id: "status",
      title: "Status",
      cell: (d) => (
        <>
          <Status of={d.status} />
          {d.status === "running" && d.progress !== undefined && (
            <span className="muted"> {Math.round(d.progress)} %</span>
          )}
        </>
      ),
      sort: (d) => d.status,
    },
    {
      id: "attempt",
      title: "Attempt",
      number: true,
      wide: true,
      cell: (d) => `${d.attempt} of ${d.max_attempts}`,
      sort: (d) => d.attempt,
    },
    {
      id: "created",
      title: "Created",
      number: true,
      cell: (d) => <When at={d.created_at} />,
      sort: (d) => d.created_at,
    },
    {
      id: "pickup",
      title: "Picked up in",
      number: true,
      wide: true,
      cell: (d) => milliseconds(pickUp(d)),
      sort: pickUp,
    },
    { id: "took", title: "Took", number: true, wide: true, cell: (d) => milliseconds(took(d)), sort: took },
    {
      id: "message",
      title: "Message",
      wide: true,
      cell: (d) => d.message && <Name of={d.message} limit={80} />,
    },
  ];
  return (
    <DataTable
      label="Deployments"
      rows={rows}
      columns={columns}
      rowKey={(d) => d.id}
      order="-created"
      whole={whole}
    />
  );
}
