import { api, type Schemas } from "../../api/client";
import { count } from "../../lib/format";
import { useLive } from "../../lib/query";
import { Name, Status, type Tone, When } from "../../ui/bits";
import { Answer, Panel } from "../../ui/panel";
import { type Column, DataTable } from "../../ui/table";

type Replica = Schemas["Replica"];

const tones: Record<Replica["state"], Tone> = { ok: "ok", degraded: "warn", lost: "bad", stopped: "none" };

const columns: Column<Replica>[] = [
  {
    id: "replica",
    title: "Replica",
    cell: (r) => (
      <>
        <Name of={r.name} limit={48} />
        {r.this && <span className="muted"> (this one)</span>}
        {r.faults.map((fault) => (
          <span key={fault} className="note bad-text">
            <Name of={fault} limit={200} />
          </span>
        ))}
      </>
    ),
    sort: (r) => r.name,
  },
  {
    id: "state",
    title: "State",
    cell: (r) => <Status of={r.state} tone={tones[r.state]} />,
    sort: (r) => ["lost", "degraded", "ok", "stopped"].indexOf(r.state),
  },
  {
    id: "version",
    title: "Version",
    cell: (r) => <Name of={r.version} limit={24} />,
    sort: (r) => r.version,
  },
  {
    id: "started",
    title: "Started",
    number: true,
    cell: (r) => <When at={r.started_at} />,
    sort: (r) => r.started_at,
  },
  {
    id: "seen",
    title: "Last seen",
    number: true,
    wide: true,
    cell: (r) => <When at={r.stopped_at ?? r.seen_at} />,
    sort: (r) => r.stopped_at ?? r.seen_at,
  },
  {
    id: "pool",
    title: "Connections",
    number: true,
    wide: true,
    cell: (r) =>
      r.state === "ok" || r.state === "degraded" ? (
        <span title={`${r.pool.waiting} waiting`}>
          {r.pool.in_use} of {r.pool.max}
        </span>
      ) : (
        <span className="muted">–</span>
      ),
  },
];

/** The replicas that run, and those that ran during the last day. */
export function Replicas() {
  const replicas = api.useQuery("get", "/api/admin/replicas", {}, useLive());
  const running = replicas.data?.replicas.filter((r) => r.state === "ok" || r.state === "degraded").length;
  return (
    <Panel
      title="Replicas of the last day"
      className="half"
      source="/api/admin/replicas"
      aside={running !== undefined && `${count(running)} running`}
    >
      <Answer
        of={replicas}
        height={120}
        empty={(l) => l.replicas.length === 0 && "No replica has stored its state yet."}
      >
        {(l) => (
          <DataTable
            label="Replicas"
            rows={l.replicas}
            columns={columns}
            rowKey={(r) => r.name}
            sortParam="replicas"
            order="state"
          />
        )}
      </Answer>
    </Panel>
  );
}
