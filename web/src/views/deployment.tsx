import { Button, NativeSelect } from "@mantine/core";
import { Link, useParams } from "wouter";
import { api, apiUrl, type Schemas } from "../api/client";
import { milliseconds, seconds } from "../lib/format";
import { useLive } from "../lib/query";
import { useLink, useParam } from "../lib/url";
import { Facts, Name, Status, When } from "../ui/bits";
import { Answer, Panel } from "../ui/panel";
import { Payload, Text } from "../ui/payload";
import { type Column, DataTable } from "../ui/table";
import { Confirm } from "./parts/confirm";
import { CreateDeployment } from "./parts/createdeployment";
import { pickUp, took } from "./parts/deploymenttable";
import { useLog } from "./parts/log";

type Deployment = Schemas["Deployment"];
type Attempt = Schemas["DeploymentAttempt"];

export default function DeploymentView() {
  const { id = "" } = useParams();
  const path = { deployment_id: id };
  const live = useLive();
  const deployment = api.useQuery(
    "get",
    "/api/deployments/{deployment_id}",
    { params: { path } },
    { ...live, refetchInterval: (q) => (unfinished(q.state.data) ? 3_000 : live.refetchInterval) },
  );
  const cancel = api.useMutation("post", "/api/deployments/{deployment_id}/cancel", {
    onSuccess: () => deployment.refetch(),
  });
  return (
    <Answer of={deployment} height={400}>
      {(d) => (
        <div className="view">
          <Panel
            title={<Name of={d.name} />}
            source={apiUrl(`/api/deployments/${encodeURIComponent(id)}`)}
            aside={
              <>
                <Status of={d.status} />
                {unfinished(d) ? (
                  <Confirm
                    action="Cancel the deployment"
                    question="An agent that runs it learns so from its next renewal."
                    run={() => cancel.mutateAsync({ params: { path } })}
                  />
                ) : (
                  <CreateDeployment like={d} />
                )}
              </>
            }
          >
            <Overview of={d} />
          </Panel>
          <Log of={d} />
          <Attempts of={d.attempts ?? []} />
          <Panel title="Spec" className="half">
            <Payload of={d.spec} label="Spec" />
          </Panel>
        </div>
      )}
    </Answer>
  );
}

function unfinished(d: Deployment | undefined): boolean {
  return d?.status === "pending" || d?.status === "running";
}

function Overview({ of: d }: { of: Deployment }) {
  const link = useLink();
  const facts: [string, React.ReactNode][] = [
    [
      "Agent",
      <Link key="a" href={link(`/fleet/${encodeURIComponent(d.agent_id)}`)}>
        <Name of={d.agent_id} />
      </Link>,
    ],
    ["Attempt", `${d.attempt} of ${d.max_attempts}`],
    ["Created", <When key="c" at={d.created_at} />],
    ["Picked up in", milliseconds(pickUp(d))],
    ["Took", milliseconds(took(d))],
    ["Lease", seconds(d.lease_seconds)],
    [
      "Group",
      <Link key="g" href={link("/deployments", { group_id: d.group_id })}>
        All that was created with it
      </Link>,
    ],
  ];
  if (d.status === "running" && d.progress !== undefined)
    facts.push(["Progress", `${Math.round(d.progress)} %`]);
  if (d.message) facts.push(["Message", <Name key="m" of={d.message} limit={4096} />]);
  return <Facts of={facts} />;
}

function Log({ of: d }: { of: Deployment }) {
  const [chosen, choose] = useParam("attempt");
  const attempt = Number(chosen) || d.attempt;
  const attempts = d.attempts ?? [];
  const log = useLog(
    d.id,
    attempt,
    attempts.some((a) => a.attempt === attempt),
  );
  return (
    <Panel
      title="Log"
      source={apiUrl(`/api/deployments/${d.id}/logs`, { attempt })}
      aside={
        <>
          {log.following && <Status of="running" />}
          {attempts.length > 1 && (
            <NativeSelect
              size="xs"
              aria-label="Attempt"
              value={String(attempt)}
              onChange={(e) => choose(e.currentTarget.value)}
              data={attempts.map((a) => ({ value: String(a.attempt), label: `Attempt ${a.attempt}` }))}
            />
          )}
        </>
      }
    >
      {log.error && (
        <p className="bad-text">
          {log.error}{" "}
          <Button size="compact-xs" variant="default" onClick={log.retry}>
            Try again
          </Button>
        </p>
      )}
      {log.text === "" ? (
        <div className="empty">
          {log.following ? "Nothing has been written yet." : "This attempt wrote nothing."}
        </div>
      ) : (
        <>
          {log.cut && <p className="muted">The beginning is left out here; the API has all of it.</p>}
          <Text of={log.text} label="Log" className="log" />
        </>
      )}
    </Panel>
  );
}

const columns: Column<Attempt>[] = [
  { id: "attempt", title: "Attempt", cell: (a) => a.attempt, sort: (a) => a.attempt },
  { id: "status", title: "Status", cell: (a) => <Status of={a.status} /> },
  { id: "started", title: "Claimed", cell: (a) => <When at={a.started_at} /> },
  {
    id: "took",
    title: "Took",
    number: true,
    cell: (a) =>
      a.finished_at
        ? milliseconds(new Date(a.finished_at).getTime() - new Date(a.started_at).getTime())
        : "–",
  },
  { id: "message", title: "Message", cell: (a) => a.message && <Name of={a.message} limit={400} /> },
];

function Attempts({ of: attempts }: { of: Attempt[] }) {
  return (
    <Panel title="Attempts" className="half">
      {attempts.length === 0 ? (
        <div className="empty">The agent has not claimed it yet.</div>
      ) : (
        <DataTable
          label="Attempts"
          rows={attempts}
          columns={columns}
          rowKey={(a) => String(a.attempt)}
          sortParam="attempts"
          order="attempt"
        />
      )}
    </Panel>
  );
}
