import { useEffect, useState } from "react";
import { api, apiUrl } from "../../api/client";
import { exact } from "../../lib/format";
import { type FleetState, useFleetState, useStreamState } from "../../lib/live";
import { useLive } from "../../lib/query";
import { useLink } from "../../lib/url";
import { Stat, Stats } from "../../ui/bits";
import { Answer, Panel } from "../../ui/panel";

const limit = 500; // the maximum of one page
const patience = 3_000; // milliseconds for the stream to tell the state, before it is asked for

interface Counts {
  online: string;
  late: string;
  offline: string;
  running: string;
}

/** The counts that the stream told. A state that is not named has none. */
export function streamed(fleet: FleetState): Counts {
  const { agents, deployments } = fleet;
  return {
    online: exact(agents.online ?? 0),
    late: exact(agents.late ?? 0),
    offline: exact(agents.offline ?? 0),
    running: exact(deployments.running ?? 0),
  };
}

/** The same from one page of each list, where there is no stream. */
function useListed(enabled: boolean) {
  const live = useLive();
  const listed = {
    select: (l: { agents?: unknown[]; deployments?: unknown[]; next_cursor?: string }) =>
      `${(l.agents ?? l.deployments ?? []).length}${l.next_cursor ? "+" : ""}`,
    enabled,
    refetchInterval: live.refetchInterval,
  };
  const of = (state: "online" | "late" | "offline") =>
    api.useQuery("get", "/api/agents", { params: { query: { state, limit } } }, listed);
  const [online, late, offline] = [of("online"), of("late"), of("offline")];
  const query = { status: "running" as const, limit };
  const running = api.useQuery("get", "/api/deployments", { params: { query } }, listed);
  return { online, late, offline, running };
}

function useWaited(): boolean {
  const [waited, setWaited] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setWaited(true), patience);
    return () => clearTimeout(timer);
  }, []);
  return waited;
}

/** How many agents of the fleet are in which state. */
export function FleetCounts({ className }: { className?: string }) {
  const link = useLink();
  const told = useFleetState();
  const broken = useStreamState() === false;
  const waited = useWaited();
  const { online, late, offline, running } = useListed(broken || (!told && waited));
  const fleet = broken && online.data ? undefined : told;
  const counts: Counts = fleet
    ? streamed(fleet)
    : {
        online: online.data ?? "–",
        late: late.data ?? "–",
        offline: offline.data ?? "–",
        running: running.data ?? "–",
      };
  const stats = (
    <Stats>
      <Stat label="Online" value={counts.online} to={link("/fleet", { state: "online" })} note="agents" />
      <Stat
        label="Late"
        value={counts.late}
        tone={some(counts.late) ? "warn" : undefined}
        to={link("/fleet", { state: "late" })}
        note="missed a poll"
      />
      <Stat
        label="Offline"
        value={counts.offline}
        tone={some(counts.offline) ? "bad" : undefined}
        to={link("/fleet", { state: "offline" })}
        note="stopped polling"
      />
      <Stat
        label="Running"
        value={counts.running}
        to={link("/deployments", { status: "running" })}
        note="deployments"
      />
    </Stats>
  );
  return (
    <Panel
      title="Fleet"
      aside="now"
      className={className}
      source={apiUrl("/api/agents", { state: "offline" })}
    >
      {fleet ? (
        stats
      ) : (
        <Answer of={online} height={110}>
          {() => stats}
        </Answer>
      )}
    </Panel>
  );
}

function some(counted: string): boolean {
  return counted !== "0" && counted !== "–";
}
