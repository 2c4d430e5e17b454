import { SegmentedControl } from "@mantine/core";
import { Link } from "wouter";
import { api, apiUrl, type Schemas } from "../api/client";
import { count, exact, exactUsd, percent, usd } from "../lib/format";
import { useLive } from "../lib/query";
import { useSettings } from "../lib/settings";
import { dayOf, type Zone, zoneName } from "../lib/time";
import { useLink, useParam, useWindow } from "../lib/url";
import { Money, Name, Stat, Stats } from "../ui/bits";
import { Chart } from "../ui/chart";
import { Answer, Panel } from "../ui/panel";
import { type Column, DataTable } from "../ui/table";
import { SpendStats } from "./parts/spend";

type Group = Schemas["SpendOf"];
type By = Schemas["CostGroupBy"];

function useCosts(by: By, limit?: number) {
  const { days } = useWindow();
  const { zone } = useSettings();
  const query = {
    days: Math.max(days, by === "day" ? 7 : 1),
    group_by: by,
    time_zone: zoneName(zone),
    limit,
  };
  const costs = api.useQuery("get", "/api/admin/costs", { params: { query } }, useLive());
  return { costs, source: apiUrl("/api/admin/costs", query), days: query.days };
}

export default function Costs() {
  return (
    <div className="view even">
      <SpendStats className="half" />
      <Known />
      <Days />
      <Groups />
    </div>
  );
}

/** How much of the spend is certain. */
function Known() {
  const { costs, source, days } = useCosts("model", 100);
  return (
    <Panel
      title="How certain it is"
      className="half"
      aside={days === 1 ? "today" : `last ${days} days`}
      window={costs.data?.costs.window}
      source={source}
    >
      <Answer of={costs} height={110}>
        {({ costs: { total: t } }) => (
          <Stats>
            <Stat label="Cost" value={<Money of={t} />} note={`${count(t.requests)} calls`} />
            <Stat
              label="Estimated"
              value={<span title={exactUsd(t.estimated_cost_usd)}>{usd(t.estimated_cost_usd)}</span>}
              note="of the cost, from estimated tokens"
            />
            <Stat
              label="Without a price"
              value={count(t.unpriced_tokens)}
              note={`tokens, ${t.tokens.used ? percent(t.unpriced_tokens / t.tokens.used, 1) : "0 %"} of all`}
              tone={t.unpriced_tokens > 0 ? "warn" : undefined}
            />
            <Stat
              label="Unknown usage"
              value={count(t.unknown_usage)}
              note="executions whose tokens nobody told"
              tone={t.unknown_usage > 0 ? "warn" : undefined}
            />
            {t.provider_cost_usd !== null && (
              <Stat
                label="By the providers"
                value={<span title={exactUsd(t.provider_cost_usd)}>{usd(t.provider_cost_usd)}</span>}
                note="what they said they charge"
              />
            )}
          </Stats>
        )}
      </Answer>
    </Panel>
  );
}

function Days() {
  const { costs, source } = useCosts("day");
  return (
    <Panel title="Spend by day" window={costs.data?.costs.window} source={source}>
      <Answer of={costs} height={228}>
        {({ costs: c }) => (
          <Chart
            label="Spend by day"
            kind="bars"
            height={200}
            times={c.groups.map((_, i) => new Date(c.window.from).getTime() / 1000 + i * 86_400)}
            format={(n) => usd(n)}
            lines={[{ label: "Cost", color: "c1", values: c.groups.map((g) => g.cost_usd) }]}
          />
        )}
      </Answer>
    </Panel>
  );
}

const choices: { value: By; label: string }[] = [
  { value: "model", label: "Model" },
  { value: "agent", label: "Agent" },
  { value: "user", label: "User" },
  { value: "day", label: "Day" },
];

function Groups() {
  const [chosen, choose] = useParam("by", "model");
  const by = choices.find((c) => c.value === chosen)?.value ?? "model";
  const { costs, source } = useCosts(by, 100);
  const link = useLink();
  const { zone } = useSettings();
  const highest = Math.max(0, ...(costs.data?.costs.groups ?? []).map((g) => g.cost_usd ?? 0));
  const columns: Column<Group>[] = [
    {
      id: "key",
      title: choices.find((c) => c.value === by)?.label ?? "",
      cell: (g) => <Key of={g.key} by={by} link={link} zone={zone} />,
      sort: (g) => g.key,
    },
    { id: "cost", title: "Cost", number: true, cell: (g) => <Money of={g} />, sort: (g) => g.cost_usd },
    {
      id: "share",
      title: "Share",
      wide: true,
      cell: (g) => (
        <div className="bar" aria-hidden="true">
          &nbsp;
          <i style={{ width: highest > 0 ? `${((g.cost_usd ?? 0) / highest) * 100}%` : 0 }} />
        </div>
      ),
    },
    {
      id: "requests",
      title: by === "model" ? "Calls" : "Requests",
      number: true,
      cell: (g) => count(g.requests),
      sort: (g) => g.requests,
    },
    {
      id: "input",
      title: "Tokens in",
      number: true,
      wide: true,
      cell: (g) => <span title={exact(g.tokens.input)}>{count(g.tokens.input)}</span>,
      sort: (g) => g.tokens.input,
    },
    {
      id: "output",
      title: "Tokens out",
      number: true,
      wide: true,
      cell: (g) => <span title={exact(g.tokens.output)}>{count(g.tokens.output)}</span>,
      sort: (g) => g.tokens.output,
    },
    {
      id: "unpriced",
      title: "Without a price",
      number: true,
      cell: (g) => (g.unpriced_tokens > 0 ? count(g.unpriced_tokens) : <span className="muted">–</span>),
      sort: (g) => g.unpriced_tokens,
    },
    {
      id: "unknown",
      title: "Unknown usage",
      number: true,
      wide: true,
      cell: (g) => (g.unknown_usage > 0 ? count(g.unknown_usage) : <span className="muted">–</span>),
      sort: (g) => g.unknown_usage,
    },
  ];
  return (
    <Panel
      title="What it was spent on"
      window={costs.data?.costs.window}
      source={source}
      aside={
        <SegmentedControl size="xs" aria-label="Grouped by" value={by} onChange={choose} data={choices} />
      }
    >
      <Answer
        of={costs}
        height={300}
        empty={({ costs: c }) => c.groups.length === 0 && "Nothing was spent in this window."}
      >
        {({ costs: c }) => (
          <>
            <DataTable
              label="Costs"
              rows={c.groups}
              columns={columns}
              rowKey={(g) => g.key}
              order={by === "day" ? "-key" : "-cost"}
            />
            {c.rest && (
              <p className="remark muted">
                All others together: <Money of={c.rest} />, {count(c.rest.requests)} requests
              </p>
            )}
          </>
        )}
      </Answer>
    </Panel>
  );
}

interface KeyProps {
  of: string;
  by: By;
  link: ReturnType<typeof useLink>;
  zone: Zone;
}

function Key({ of, by, link, zone }: KeyProps) {
  if (of === "") return <span className="muted">not named</span>;
  if (of === "other") return <span className="muted">other</span>;
  switch (by) {
    case "user":
      return (
        <Link href={link(`/users/${encodeURIComponent(of)}`)}>
          <Name of={of} />
        </Link>
      );
    case "agent":
    case "model":
      return (
        <Link href={link("/executions", { [by]: of })}>
          <Name of={of} />
        </Link>
      );
    default:
      return <Link href={link("/executions", { w: dayOf(of, zone) })}>{of}</Link>;
  }
}
