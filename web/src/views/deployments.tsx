import { useSearchParams } from "wouter";
import { api, apiUrl, type Schemas } from "../api/client";
import { count } from "../lib/format";
import { useLive } from "../lib/query";
import { Name, Stat, Stats } from "../ui/bits";
import { ChoiceFilter, TextFilter } from "../ui/filter";
import { isWhole, Pager, usePages } from "../ui/pager";
import { Answer, Panel } from "../ui/panel";
import { Confirm } from "./parts/confirm";
import { CreateDeployment } from "./parts/createdeployment";
import { DeploymentTable } from "./parts/deploymenttable";

const statuses: [string, string][] = [
  ["", "Any"],
  ["pending", "Pending"],
  ["running", "Running"],
  ["succeeded", "Succeeded"],
  ["failed", "Failed"],
  ["timed_out", "Timed out"],
  ["cancelled", "Cancelled"],
];

export default function Deployments() {
  const [params] = useSearchParams();
  const filters = {
    status: (params.get("status") as Schemas["DeploymentStatus"]) || undefined,
    agent_id: params.get("agent_id") ?? undefined,
    group_id: params.get("group_id") ?? undefined,
  };
  const pages = usePages(JSON.stringify(filters));
  const query = { ...filters, limit: 100, cursor: pages.cursor };
  const list = api.useQuery("get", "/api/deployments", { params: { query } }, useLive());
  return (
    <div className="view">
      {filters.group_id && <Group id={filters.group_id} />}
      <Panel title="Deployments" source={apiUrl("/api/deployments", query)} aside={<CreateDeployment />}>
        <div className="filters within">
          <ChoiceFilter name="status" label="Status" choices={statuses} />
          <TextFilter name="agent_id" label="Agent" />
          <TextFilter name="group_id" label="Group" className="grow" />
        </div>
        <Answer
          of={list}
          height={400}
          empty={(l) => l.deployments.length === 0 && pages.page === 1 && "No deployment matches."}
        >
          {(l) => (
            <>
              <DeploymentTable rows={l.deployments} whole={isWhole(pages, l)} />
              <Pager pages={pages} nextCursor={l.next_cursor} />
            </>
          )}
        </Answer>
      </Panel>
    </div>
  );
}

function Group({ id }: { id: string }) {
  const path = { group_id: id };
  const group = api.useQuery("get", "/api/deployment-groups/{group_id}", { params: { path } }, useLive());
  const cancel = api.useMutation("post", "/api/deployment-groups/{group_id}/cancel", {
    onSuccess: () => group.refetch(),
  });
  return (
    <Panel
      title={group.data ? <Name of={group.data.name} /> : "Group"}
      source={apiUrl(`/api/deployment-groups/${encodeURIComponent(id)}`)}
      aside={
        group.data &&
        !group.data.finished && (
          <Confirm
            action="Cancel what is left"
            question={`${count(group.data.counts.pending)} pending and ${count(group.data.counts.running)} running deployments are cancelled.`}
            run={() => cancel.mutateAsync({ params: { path } })}
          />
        )
      }
    >
      <Answer of={group} height={70}>
        {(g) => (
          <Stats>
            <Stat label="All" value={count(g.total)} />
            <Stat label="Pending" value={count(g.counts.pending)} />
            <Stat label="Running" value={count(g.counts.running)} />
            <Stat label="Succeeded" value={count(g.counts.succeeded)} />
            <Stat
              label="Failed"
              value={count(g.counts.failed)}
              tone={g.counts.failed > 0 ? "bad" : undefined}
            />
            <Stat
              label="Timed out"
              value={count(g.counts.timed_out)}
              tone={g.counts.timed_out > 0 ? "bad" : undefined}
            />
            <Stat label="Cancelled" value={count(g.counts.cancelled)} />
          </Stats>
        )}
      </Answer>
    </Panel>
  );
}
