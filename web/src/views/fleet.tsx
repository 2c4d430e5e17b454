import { TextInput } from "@mantine/core";
import { useState } from "react";
import { Link, useLocation, useSearchParams } from "wouter";
import { api, apiUrl, type Schemas } from "../api/client";
import { milliseconds, percent, rate, seconds } from "../lib/format";
import { useLive } from "../lib/query";
import { useLink } from "../lib/url";
import { Name, Stat, Stats, Status, When } from "../ui/bits";
import { ChoiceFilter, TextFilter } from "../ui/filter";
import { isWhole, Pager, usePages } from "../ui/pager";
import { Answer, Panel } from "../ui/panel";
import { type Column, DataTable } from "../ui/table";
import { CreateDeployment } from "./parts/createdeployment";
import { FleetCounts } from "./parts/fleetcounts";
import { Labels } from "./parts/labels";

type Agent = Schemas["Agent"];

export default function Fleet() {
  const [params] = useSearchParams();
  const link = useLink();
  const filters = {
    state: (params.get("state") as Schemas["AgentState"]) || undefined,
    label: params.get("label") ?? undefined,
  };
  const pages = usePages(JSON.stringify(filters));
  const query = { ...filters, limit: 100, cursor: pages.cursor };
  const agents = api.useQuery("get", "/api/agents", { params: { query } }, useLive());
  const columns: Column<Agent>[] = [
    {
      id: "id",
      title: "Agent",
      cell: (a) => (
        <Link href={link(`/fleet/${encodeURIComponent(a.id)}`)}>
          <Name of={a.id} limit={40} />
        </Link>
      ),
      sort: (a) => a.id,
    },
    { id: "state", title: "State", cell: (a) => <Status of={a.state} />, sort: (a) => a.state },
    {
      id: "name",
      title: "Name",
      wide: true,
      cell: (a) => <Name of={a.name} limit={60} />,
      sort: (a) => a.name,
    },
    { id: "labels", title: "Labels", wide: true, cell: (a) => <Labels of={a.labels} /> },
    {
      id: "seen",
      title: "Last poll",
      number: true,
      cell: (a) => <When at={a.last_seen_at} />,
      sort: (a) => a.last_seen_at ?? "",
    },
    {
      id: "interval",
      title: "Interval",
      number: true,
      wide: true,
      cell: (a) => seconds(a.poll_interval_seconds),
      sort: (a) => a.poll_interval_seconds,
    },
    {
      id: "version",
      title: "Version",
      wide: true,
      cell: (a) => <Name of={a.version ?? ""} limit={30} />,
      sort: (a) => a.version,
    },
  ];
  return (
    <div className="view even">
      <FleetCounts className="half" />
      <Polls />
      <Panel
        title="Agents"
        source={apiUrl("/api/agents", query)}
        aside={<CreateDeployment label={filters.label} />}
      >
        <div className="filters within">
          <ChoiceFilter
            name="state"
            label="State"
            choices={[
              ["", "Any"],
              ["online", "Online"],
              ["late", "Late"],
              ["offline", "Offline"],
            ]}
          />
          <TextFilter
            name="label"
            label="Labels"
            placeholder="region=eu,tier in (edge,core)"
            className="grow"
          />
          <OpenAgent />
        </div>
        <Answer
          of={agents}
          height={400}
          empty={(l) => l.agents.length === 0 && pages.page === 1 && "No agent matches."}
        >
          {(l) => (
            <>
              <DataTable
                label="Agents"
                rows={l.agents}
                columns={columns}
                rowKey={(a) => a.id}
                order="id"
                whole={isWhole(pages, l)}
              />
              <Pager pages={pages} nextCursor={l.next_cursor} names={["Previous", "Next"]} />
            </>
          )}
        </Answer>
      </Panel>
    </div>
  );
}

/** Leads to an agent whose id is known. */
function OpenAgent() {
  const link = useLink();
  const [, go] = useLocation();
  const [id, setId] = useState("");
  return (
    <form
      className="grow"
      onSubmit={(e) => {
        e.preventDefault();
        if (id.trim()) go(link(`/fleet/${encodeURIComponent(id.trim())}`));
      }}
    >
      <TextInput
        size="xs"
        label="Open an agent"
        placeholder="its id, then Enter"
        value={id}
        onChange={(e) => setId(e.currentTarget.value)}
      />
    </form>
  );
}

function Polls() {
  const polls = api.useQuery(
    "get",
    "/api/metrics/pending-deployments",
    { params: { query: { hours: 1 } } },
    useLive(),
  );
  return (
    <Panel
      title="Polls"
      className="half"
      aside="last hour"
      window={polls.data?.window}
      source={apiUrl("/api/metrics/pending-deployments", { hours: 1 })}
    >
      <Answer of={polls} height={110}>
        {(p) => (
          <Stats>
            <Stat label="Per agent" value={rate(p.rps_per_agent)} note="about 0.1/s by default" />
            <Stat label="All" value={rate(p.rps)} note={`${percent(p.empty_ratio, 1)} found nothing`} />
            <Stat
              label="p95 latency"
              value={milliseconds(p.latency_ms?.p95)}
              note={`p99 ${milliseconds(p.latency_ms?.p99)}`}
              tone={(p.latency_ms?.p95 ?? 0) >= 200 ? "bad" : undefined}
            />
            <Stat
              label="Errors"
              value={percent(p.error_rate)}
              tone={p.error_rate >= 0.01 ? "bad" : undefined}
              note="5xx"
            />
          </Stats>
        )}
      </Answer>
    </Panel>
  );
}
