import { api, apiUrl, type Schemas } from "../../api/client";
import { count, exactUsd, percent, usd } from "../../lib/format";
import { projection, sum } from "../../lib/money";
import { useLive } from "../../lib/query";
import { useSettings } from "../../lib/settings";
import { zoneName } from "../../lib/time";
import { useLink } from "../../lib/url";
import { Money, Stat, Stats } from "../../ui/bits";
import { Answer, Panel } from "../../ui/panel";

/** The month that a day such as 2026-01-15 belongs to, from its first moment to its last. */
export function monthOf(day: string): { from: Date; to: Date; days: number } {
  const [year = 1970, month = 1] = day.split("-").map(Number);
  const from = new Date(year, month - 1, 1);
  const to = new Date(year, month, 1);
  return { from, to, days: Math.round((to.getTime() - from.getTime()) / 86_400_000) };
}

/** What is known of the days of the current month. The last group is today. */
export function monthToDate(groups: Schemas["SpendOf"][], now: Date) {
  const today = groups.at(-1);
  if (!today) return null;
  const days = groups.filter((g) => g.key.slice(0, 7) === today.key.slice(0, 7));
  const total = sum(days.map((g) => g.cost_usd));
  const { from, to } = monthOf(today.key);
  return {
    today,
    total,
    projected: total === null ? null : projection(total, from, to, now),
    unpriced: days.reduce((n, g) => n + g.unpriced_tokens, 0),
    unknown: days.reduce((n, g) => n + g.unknown_usage, 0),
    tokens: days.reduce((n, g) => n + g.tokens.used, 0),
  };
}

export function SpendStats({ className }: { className?: string }) {
  const { zone } = useSettings();
  const link = useLink();
  const query = { days: 31, group_by: "day" as const, time_zone: zoneName(zone) };
  const costs = api.useQuery("get", "/api/admin/costs", { params: { query } }, useLive());
  return (
    <Panel
      title="Spend"
      className={className}
      aside={zoneName(zone)}
      source={apiUrl("/api/admin/costs", query)}
    >
      <Answer
        of={costs}
        height={110}
        empty={({ costs: c }) => c.groups.length === 0 && "Nothing has been spent."}
      >
        {({ costs: c }) => {
          const month = monthToDate(c.groups, new Date());
          if (!month) return null;
          return (
            <Stats>
              <Stat
                label="Today"
                value={<Money of={month.today} />}
                note={`${count(month.today.tokens.used)} tokens`}
                to={link("/costs")}
              />
              <Stat
                label="This month"
                value={<span title={exactUsd(month.total)}>{usd(month.total)}</span>}
                note={`${count(month.tokens)} tokens`}
                to={link("/costs")}
              />
              <Stat
                label="Projected"
                value={month.projected === null ? "–" : usd(month.projected)}
                note="if the month goes on like this"
                to={link("/costs")}
              />
              <Stat
                label="Without a price"
                value={month.tokens === 0 ? "–" : percent(month.unpriced / month.tokens, 1)}
                note={`${count(month.unpriced)} tokens, ${count(month.unknown)} of unknown usage`}
                tone={month.unpriced > 0 ? "warn" : undefined}
                to={link("/costs", { by: "model" })}
              />
            </Stats>
          );
        }}
      </Answer>
    </Panel>
  );
}
