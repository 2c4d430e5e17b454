import { Link } from "wouter";
import { api, apiUrl, type Schemas } from "../api/client";
import { useSession } from "../api/session";
import { count, percent, seconds } from "../lib/format";
import { useStreamState } from "../lib/live";
import { useLive } from "../lib/query";
import { useLink } from "../lib/url";
import { Facts, Name, Status, When } from "../ui/bits";
import { Answer, Panel } from "../ui/panel";
import { type Column, DataTable } from "../ui/table";
import { Prices } from "./parts/prices";
import { Replicas } from "./parts/replicas";

export default function Settings() {
  return (
    <div className="view even">
      <Me />
      <Health />
      <Replicas />
      <Unpriced />
      <Names />
      <Prices />
    </div>
  );
}

function Me() {
  const session = useSession();
  const s = session.data;
  const live = useStreamState();
  return (
    <Panel title="Session" className="half" source="/api/session">
      {s && (
        <Facts
          of={[
            ["Signed in as", s.role],
            ["Until", <When key="u" at={s.expires_at} absolute />],
            ["Changes", live ? "shown as they happen" : "read at intervals"],
            [
              "API document",
              <a key="o" href="/api/openapi.yaml" target="_blank" rel="noreferrer">
                openapi.yaml
              </a>,
            ],
          ]}
        />
      )}
    </Panel>
  );
}

function Health() {
  const health = api.useQuery("get", "/api/health", {}, useLive());
  return (
    <Panel
      title="The replica that answered"
      className="half"
      source="/api/health"
      aside={health.data && <Status of={health.data.status} />}
    >
      <Answer of={health} height={110}>
        {(h) => (
          <>
            <Facts
              of={[
                ["Version", <Name key="v" of={h.version} />],
                ["Up for", seconds(h.uptime_seconds)],
                [
                  "Database",
                  h.database.reachable ? `reachable, schema ${h.database.schema_version}` : "not reachable",
                ],
                [
                  "Connections",
                  `${h.database.pool.in_use} of ${h.database.pool.max} in use, ${h.database.pool.waiting} waiting`,
                ],
                ["Pool in use", percent(h.database.pool.utilization)],
                ["Requests", count(h.requests.total)],
              ]}
            />
            {(h.reasons ?? []).map((reason) => (
              <p key={reason} className="bad-text remark">
                {reason}
              </p>
            ))}
          </>
        )}
      </Answer>
    </Panel>
  );
}

const unpricedColumns: Column<Schemas["SpendOf"]>[] = [
  {
    id: "model",
    title: "Model",
    cell: (g) => (g.key ? <Name of={g.key} /> : <span className="muted">not named</span>),
    sort: (g) => g.key,
  },
  { id: "calls", title: "Calls", number: true, cell: (g) => count(g.requests), sort: (g) => g.requests },
  {
    id: "tokens",
    title: "Tokens without a price",
    number: true,
    cell: (g) => count(g.unpriced_tokens),
    sort: (g) => g.unpriced_tokens,
  },
  {
    id: "unknown",
    title: "Unknown usage",
    number: true,
    cell: (g) => count(g.unknown_usage),
    sort: (g) => g.unknown_usage,
  },
];

function Unpriced() {
  const query = { days: 30, group_by: "model" as const, limit: 500 };
  const costs = api.useQuery("get", "/api/admin/costs", { params: { query } }, useLive());
  const without = (c: Schemas["CostsAnswer"]) =>
    c.costs.groups.filter((g) => g.unpriced_tokens > 0 || g.unknown_usage > 0);
  return (
    <Panel
      title="Models without a price"
      className="half"
      window={costs.data?.costs.window}
      source={apiUrl("/api/admin/costs", query)}
    >
      <Answer
        of={costs}
        height={160}
        empty={(c) => without(c).length === 0 && "Everything that ran has a price."}
      >
        {(c) => (
          <DataTable
            label="Models without a price"
            rows={without(c)}
            columns={unpricedColumns}
            rowKey={(g) => g.key}
            sortParam="unpriced"
            order="-tokens"
          />
        )}
      </Answer>
    </Panel>
  );
}

function Names() {
  const link = useLink();
  const names = api.useQuery("get", "/api/admin/names", {}, useLive());
  const columns: Column<Schemas["Name"]>[] = [
    {
      id: "name",
      title: "Name",
      cell: (n) => (
        <Link href={link("/executions", { [n.kind]: n.name })}>
          <Name of={n.name} limit={60} />
        </Link>
      ),
      sort: (n) => n.name,
    },
    { id: "kind", title: "Kind", cell: (n) => n.kind, sort: (n) => n.kind },
    { id: "since", title: "Since", number: true, cell: (n) => <When at={n.since} />, sort: (n) => n.since },
  ];
  const full = (l: Schemas["NameList"], kind: string) =>
    l.names.filter((n) => n.kind === kind).length >= l.limit;
  return (
    <Panel
      title="Names that figures tell apart"
      className="half"
      source="/api/admin/names"
      aside={names.data && `at most ${count(names.data.limit)} of a kind; all others are “other”`}
    >
      <Answer of={names} height={160} empty={(l) => l.names.length === 0 && "No name has come yet."}>
        {(l) => (
          <>
            {(full(l, "agent") || full(l, "model")) && (
              <p className="bad-text remark">No place is free: new names are counted as “other”.</p>
            )}
            <Others />
            <DataTable
              label="Names"
              rows={l.names}
              columns={columns}
              rowKey={(n) => n.kind + n.name}
              sortParam="names"
              order="name"
            />
          </>
        )}
      </Answer>
    </Panel>
  );
}

/** How much was counted under names that are not told apart. */
function Others() {
  const live = useLive();
  const of = (group_by: "agent" | "model") => ({ params: { query: { days: 30, group_by, limit: 500 } } });
  const agents = api.useQuery("get", "/api/admin/costs", of("agent"), live);
  const models = api.useQuery("get", "/api/admin/costs", of("model"), live);
  const other = (a: Schemas["CostsAnswer"] | undefined) =>
    a?.costs.groups.find((g) => g.key === "other")?.requests ?? 0;
  const [requests, calls] = [other(agents.data), other(models.data)];
  if (requests === 0 && calls === 0) return null;
  return (
    <p className="remark">
      In the last 30 days, {count(requests)} requests of agents and {count(calls)} calls of models were
      counted as “other”.
    </p>
  );
}
