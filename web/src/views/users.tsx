import { Link, useSearchParams } from "wouter";
import { api, apiUrl, type Schemas } from "../api/client";
import { count, exact } from "../lib/format";
import { useLive } from "../lib/query";
import { useSettings } from "../lib/settings";
import { printable } from "../lib/text";
import { zoneName } from "../lib/time";
import { useLink, useWindow } from "../lib/url";
import { Money, Name, When } from "../ui/bits";
import { Chart, colorOf, timesOf } from "../ui/chart";
import { ChoiceFilter } from "../ui/filter";
import { Pager, usePages } from "../ui/pager";
import { Answer, Panel } from "../ui/panel";
import { type Column, DataTable } from "../ui/table";

export default function Users() {
  return (
    <div className="view even">
      <ByDay />
      <Weeks />
      <AgentWeeks />
      <List />
    </div>
  );
}

function ByDay() {
  const { days } = useWindow();
  const hours = Math.max(days, 14) * 24;
  const query = { hours, step: "1d" as const, active_users: true };
  const series = api.useQuery("get", "/api/admin/metrics/series", { params: { query } }, useLive());
  return (
    <Panel
      title="Active users by day"
      className="third"
      aside="days of UTC"
      window={series.data?.series.window}
      source={apiUrl("/api/admin/metrics/series", query)}
    >
      <Answer of={series} height={208} empty={({ series: s }) => !s.series[0] && "Nobody was active."}>
        {({ series: s }) => {
          const points = s.series[0]?.points ?? [];
          return (
            <Chart
              label="Active users by day"
              kind="bars"
              times={timesOf(points, s.step_seconds)}
              format={count}
              lines={[{ label: "Users", color: "c1", values: points.map((p) => p.active_users ?? null) }]}
            />
          );
        }}
      </Answer>
    </Panel>
  );
}

function useAdoption() {
  const adoption = api.useQuery(
    "get",
    "/api/admin/adoption",
    { params: { query: { weeks: 12 } } },
    useLive(),
  );
  return { adoption, source: apiUrl("/api/admin/adoption", { weeks: 12 }) };
}

function begins(weeks: Schemas["AdoptionWeek"][]): number[] {
  return weeks.map((w) => new Date(w.from).getTime() / 1000);
}

function Weeks() {
  const { adoption, source } = useAdoption();
  return (
    <Panel title="Users by week" className="third" aside="weeks of UTC" source={source}>
      <Answer
        of={adoption}
        height={208}
        empty={(a) => a.weeks.every((w) => w.active_users === 0) && "Nobody was active."}
      >
        {({ weeks }) => (
          <Chart
            label="Users by week"
            kind="bars"
            times={begins(weeks)}
            format={count}
            lines={[
              {
                label: "Returning",
                color: "c1",
                values: weeks.map((w) => Math.max(0, w.active_users - w.new_users)),
              },
              { label: "New", color: "c3", values: weeks.map((w) => w.new_users) },
            ]}
          />
        )}
      </Answer>
    </Panel>
  );
}

function AgentWeeks() {
  const { adoption, source } = useAdoption();
  return (
    <Panel title="Requests by agent and week" className="third" source={source}>
      <Answer
        of={adoption}
        height={208}
        empty={(a) => a.weeks.every((w) => w.agents.length === 0) && "No agent was used."}
      >
        {({ weeks }) => (
          <Chart
            label="Requests by agent and week"
            kind="bars"
            times={begins(weeks)}
            format={count}
            lines={mostUsed(weeks, 6).map((agent, i) => ({
              label: printable(agent),
              color: colorOf(i, agent),
              values: weeks.map((w) => w.agents.find((a) => a.agent === agent)?.requests ?? 0),
            }))}
          />
        )}
      </Answer>
    </Panel>
  );
}

/** The agents with the most requests in the last week in which there were any. */
export function mostUsed(weeks: Pick<Schemas["AdoptionWeek"], "agents">[], limit: number): string[] {
  const last = weeks.findLast((w) => w.agents.length > 0);
  return (last?.agents ?? []).slice(0, limit).map((a) => a.agent);
}

type User = Schemas["User"];

function List() {
  const [params] = useSearchParams();
  const { days } = useWindow();
  const { zone } = useSettings();
  const link = useLink();
  const sort = (params.get("order") as Schemas["UserSort"]) || undefined;
  const filters = { days, time_zone: zoneName(zone), sort };
  const pages = usePages(JSON.stringify(filters));
  const query = { ...filters, limit: 50, cursor: pages.cursor };
  const users = api.useQuery("get", "/api/admin/users", { params: { query } }, useLive());
  const columns: Column<User>[] = [
    {
      id: "user",
      title: "User",
      cell: (u) => (
        <Link href={link(`/users/${encodeURIComponent(u.user_id)}`)}>
          <Name of={u.user_id} limit={60} />
        </Link>
      ),
    },
    { id: "requests", title: "Requests", number: true, cell: (u) => count(u.requests) },
    {
      id: "tokens",
      title: "Tokens",
      number: true,
      wide: true,
      cell: (u) => <span title={exact(u.tokens.used)}>{count(u.tokens.used)}</span>,
    },
    { id: "cost", title: "Cost", number: true, cell: (u) => <Money of={u} /> },
    {
      id: "first",
      title: "First seen",
      number: true,
      wide: true,
      cell: (u) => <When at={u.first_seen_at} />,
    },
    { id: "last", title: "Last seen", number: true, cell: (u) => <When at={u.last_seen_at} /> },
  ];
  return (
    <Panel
      title="Users"
      window={users.data?.window}
      source={apiUrl("/api/admin/users", query)}
      aside={
        users.data && `${count(users.data.active_users)} active ${days === 1 ? "today" : `in ${days} days`}`
      }
    >
      <div className="filters within">
        <ChoiceFilter
          name="order"
          label="Order"
          choices={[
            ["", "Highest cost"],
            ["requests", "Most requests"],
            ["tokens", "Most tokens"],
            ["user", "By id"],
          ]}
        />
      </div>
      <Answer
        of={users}
        height={300}
        empty={(l) => l.users.length === 0 && pages.page === 1 && "Nobody was active in this window."}
      >
        {(l) => (
          <>
            <DataTable label="Users" rows={l.users} columns={columns} rowKey={(u) => u.user_id} />
            <Pager pages={pages} nextCursor={l.next_cursor} names={["Previous", "Next"]} />
          </>
        )}
      </Answer>
    </Panel>
  );
}
