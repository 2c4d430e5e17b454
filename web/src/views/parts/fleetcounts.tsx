import { api, apiUrl, type Schemas } from "../../api/client";
import { count } from "../../lib/format";
import { useFleetState } from "../../lib/live";
import { useLive } from "../../lib/query";
import { useLink } from "../../lib/url";
import { Stat, Stats } from "../../ui/bits";
import { Answer, Panel } from "../../ui/panel";

const limit = 500; // a page's most

function useCount(state: Schemas["AgentState"]) {
  return api.useQuery("get", "/api/agents", { params: { query: { state, limit } } }, useLive());
}

function number(list: Schemas["AgentList"] | undefined, live: number | undefined): string {
  if (live !== undefined) return count(live);
  if (!list) return "–";
  return list.next_cursor ? `${limit}+` : String(list.agents.length);
}

/** How many agents of the fleet are in which state, as the stream or, without it, one page tells. */
export function FleetCounts({ className }: { className?: string }) {
  const link = useLink();
  const fleet = useFleetState();
  const online = useCount("online");
  const late = useCount("late");
  const offline = useCount("offline");
  const running = api.useQuery(
    "get",
    "/api/deployments",
    { params: { query: { status: "running", limit } } },
    useLive(),
  );
  const tone = (list: Schemas["AgentList"] | undefined, t: "warn" | "bad") =>
    list && list.agents.length > 0 ? t : undefined;
  const deployments = running.data?.deployments.length ?? 0;
  return (
    <Panel
      title="Fleet"
      aside="now"
      className={className}
      source={apiUrl("/api/agents", { state: "offline" })}
    >
      <Answer of={online} height={110}>
        {() => (
          <Stats>
            <Stat
              label="Online"
              value={number(online.data, fleet?.agents.online)}
              to={link("/fleet", { state: "online" })}
              note="agents"
            />
            <Stat
              label="Late"
              value={number(late.data, fleet?.agents.late)}
              tone={tone(late.data, "warn")}
              to={link("/fleet", { state: "late" })}
              note="missed a poll"
            />
            <Stat
              label="Offline"
              value={number(offline.data, fleet?.agents.offline)}
              tone={tone(offline.data, "bad")}
              to={link("/fleet", { state: "offline" })}
              note="stopped polling"
            />
            <Stat
              label="Running"
              value={running.data ? `${deployments}${running.data.next_cursor ? "+" : ""}` : "–"}
              to={link("/deployments", { status: "running" })}
              note="deployments"
            />
          </Stats>
        )}
      </Answer>
    </Panel>
  );
}
