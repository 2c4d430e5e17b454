import { useQueryClient } from "@tanstack/react-query";
import { Link, useLocation, useParams } from "wouter";
import { api, apiUrl } from "../api/client";
import { count, usd } from "../lib/format";
import { useLive } from "../lib/query";
import { useSettings } from "../lib/settings";
import { zoneName } from "../lib/time";
import { useLink, useWindow } from "../lib/url";
import { Money, Name, Stat, Stats } from "../ui/bits";
import { Chart } from "../ui/chart";
import { Pager, usePages } from "../ui/pager";
import { Answer, Panel } from "../ui/panel";
import { Confirm } from "./parts/confirm";
import { ExecutionTable } from "./parts/executiontable";

export default function User() {
  const { id: escaped = "" } = useParams();
  const id = decodeURIComponent(escaped);
  const link = useLink();
  const [, go] = useLocation();
  const queries = useQueryClient();
  const path = { user_id: id };
  const pages = usePages(id);
  const query = { limit: 50, cursor: pages.cursor };
  const activity = api.useQuery(
    "get",
    "/api/admin/user-activity/{user_id}",
    { params: { path, query } },
    useLive(),
  );
  const erase = api.useMutation("delete", "/api/admin/users/{user_id}");
  async function erased() {
    await erase.mutateAsync({ params: { path } });
    await queries.invalidateQueries();
    go("/users");
  }
  return (
    <div className="view">
      <Spend of={id} />
      <Panel
        title={<Name of={id} />}
        source={apiUrl(`/api/admin/user-activity/${encodeURIComponent(id)}`, query)}
        aside={
          <>
            <Link href={link("/executions", { user_id: id })}>Search</Link>
            <Confirm
              action="Erase the user"
              question="All executions of the user are deleted, and what these had added to the figures. This cannot be undone."
              run={erased}
            />
          </>
        }
      >
        <Answer
          of={activity}
          height={300}
          empty={(a) => a.activity.length === 0 && pages.page === 1 && "Nothing is known of this user."}
        >
          {(a) => (
            <>
              <ExecutionTable label="Executions of the user" rows={a.activity} />
              <Pager pages={pages} nextCursor={a.next_cursor} />
            </>
          )}
        </Answer>
      </Panel>
    </div>
  );
}

/** What the user's executions cost in the window, which is of whole days. */
function Spend({ of: user }: { of: string }) {
  const { days } = useWindow();
  const { zone } = useSettings();
  const query = {
    days: Math.max(days, 7),
    group_by: "day" as const,
    user_id: user,
    time_zone: zoneName(zone),
  };
  const costs = api.useQuery("get", "/api/admin/costs", { params: { query } }, useLive());
  return (
    <Panel
      title="Spend by day"
      aside={`last ${query.days} days`}
      window={costs.data?.costs.window}
      source={apiUrl("/api/admin/costs", query)}
    >
      <Answer of={costs} height={228}>
        {({ costs: c }) => (
          <>
            <Stats>
              <Stat label="Cost" value={<Money of={c.total} />} />
              <Stat label="Requests" value={count(c.total.requests)} />
              <Stat label="Tokens in" value={count(c.total.tokens.input)} />
              <Stat label="Tokens out" value={count(c.total.tokens.output)} />
            </Stats>
            <Chart
              label="Spend of the user by day"
              kind="bars"
              height={120}
              times={c.groups.map((_, i) => new Date(c.window.from).getTime() / 1000 + i * 86_400)}
              format={(n) => usd(n)}
              lines={[{ label: "Cost", color: "c1", values: c.groups.map((g) => g.cost_usd) }]}
            />
          </>
        )}
      </Answer>
    </Panel>
  );
}
