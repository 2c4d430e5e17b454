import { useQueryClient } from "@tanstack/react-query";
import { useLocation, useParams } from "wouter";
import { api, apiUrl } from "../api/client";
import { seconds } from "../lib/format";
import { useLive } from "../lib/query";
import { Facts, Name, Status, When } from "../ui/bits";
import { isWhole, Pager, usePages } from "../ui/pager";
import { Answer, Panel } from "../ui/panel";
import { Confirm } from "./parts/confirm";
import { CreateDeployment } from "./parts/createdeployment";
import { DeploymentTable } from "./parts/deploymenttable";
import { EventList } from "./parts/eventlist";
import { Labels } from "./parts/labels";

export default function FleetAgent() {
  const { id: escaped = "" } = useParams();
  const id = decodeURIComponent(escaped);
  const live = useLive();
  const [, go] = useLocation();
  const queries = useQueryClient();
  const path = { agent_id: id };
  const agent = api.useQuery("get", "/api/agents/{agent_id}", { params: { path } }, live);
  const pages = usePages(id);
  const query = { agent_id: id, limit: 25, cursor: pages.cursor };
  const deployments = api.useQuery("get", "/api/deployments", { params: { query } }, live);
  const remove = api.useMutation("delete", "/api/agents/{agent_id}");
  async function removed() {
    await remove.mutateAsync({ params: { path } });
    await queries.invalidateQueries({ queryKey: ["get", "/api/agents"] });
    go("/fleet");
  }
  return (
    <div className="view">
      <Panel
        title={<Name of={id} />}
        source={apiUrl(`/api/agents/${encodeURIComponent(id)}`)}
        aside={
          agent.data && (
            <>
              <Status of={agent.data.state} />
              <CreateDeployment agentId={id} />
              <Confirm
                action="Remove the agent"
                question="Its token stops working on every replica within a second. This cannot be undone."
                run={removed}
              />
            </>
          )
        }
      >
        <Answer of={agent} height={90}>
          {(a) => (
            <Facts
              of={[
                ["Name", <Name key="n" of={a.name} />],
                ["Last poll", <When key="s" at={a.last_seen_at} />],
                ["Interval", seconds(a.poll_interval_seconds)],
                ["Version", <Name key="v" of={a.version ?? "–"} />],
                ["Enrolled", <When key="r" at={a.registered_at} />],
                ["Enrolled by", a.enrolled_by ? <Name key="b" of={a.enrolled_by} /> : "an administrator"],
                ["Labels", <Labels key="l" of={a.labels} />],
              ]}
            />
          )}
        </Answer>
      </Panel>
      <Panel title="Deployments" source={apiUrl("/api/deployments", query)}>
        <Answer
          of={deployments}
          height={240}
          empty={(l) =>
            l.deployments.length === 0 && pages.page === 1 && "Nothing was deployed to this agent."
          }
        >
          {(l) => (
            <>
              <DeploymentTable rows={l.deployments} withAgent={false} whole={isWhole(pages, l)} />
              <Pager pages={pages} nextCursor={l.next_cursor} />
            </>
          )}
        </Answer>
      </Panel>
      <EventList title="History" agentId={id} />
    </div>
  );
}
