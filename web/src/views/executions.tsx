import { Button } from "@mantine/core";
import { useMemo } from "react";
import { useSearchParams } from "wouter";
import { api, apiUrl, type Schemas } from "../api/client";
import { useLive } from "../lib/query";
import { beginOf, useSetParams, useWindow } from "../lib/url";
import { When } from "../ui/bits";
import { ChoiceFilter, TextFilter } from "../ui/filter";
import { Pager, usePages } from "../ui/pager";
import { Answer, Panel } from "../ui/panel";
import { ExecutionTable } from "./parts/executiontable";

const texts = ["agent", "model", "user_id", "session_id", "trace_id", "execution_id", "error"] as const;
const numbers = ["min_duration_ms", "max_duration_ms", "min_cost_usd", "max_cost_usd"] as const;
const all = [...texts, ...numbers, "status", "kind"];

const more = ["session_id", "trace_id", "execution_id", ...numbers, "kind"];

const statuses: [string, string][] = [
  ["", "Any"],
  ["success", "Success"],
  ["failed", "Failed or timed out"],
  ["failure", "Failure"],
  ["timeout", "Timeout"],
];

const kinds: [string, string][] = [
  ["", "Any"],
  ["agent", "Agent's run"],
  ["inference", "Call of a model"],
  ["tool", "Use of a tool"],
];

/** The filters of the address as the API takes them. */
export function filtersOf(params: URLSearchParams) {
  const query: {
    -readonly [K in (typeof texts)[number]]?: string;
  } & { -readonly [K in (typeof numbers)[number]]?: number } & {
    status?: Schemas["ExecutionStatusFilter"];
    kind?: Schemas["ExecutionKind"];
  } = {};
  for (const name of texts) {
    const value = params.get(name);
    if (value) query[name] = value;
  }
  for (const name of numbers) {
    const value = params.get(name);
    if (value && Number.isFinite(Number(value))) query[name] = Number(value);
  }
  const status = params.get("status");
  if (status) query.status = status as Schemas["ExecutionStatusFilter"]; // the server refuses others by name
  const kind = params.get("kind");
  if (kind) query.kind = kind as Schemas["ExecutionKind"];
  return query;
}

export default function Executions() {
  const [params] = useSearchParams();
  const { id, hours, custom } = useWindow();
  const set = useSetParams();
  const filters = filtersOf(params);
  const key = JSON.stringify([filters, id]);
  const pages = usePages(key);
  // Pages of one search are of one window.
  const from = useMemo(() => beginOf({ hours, custom }, Date.now()), [key]);
  const to = custom?.to.toISOString();
  const query = { ...filters, from, to, limit: 50, cursor: pages.cursor };
  const live = useLive();
  const list = api.useQuery(
    "get",
    "/api/admin/executions",
    { params: { query } },
    { ...live, refetchInterval: pages.page === 1 ? live.refetchInterval : false },
  );
  const chosen = all.some((name) => params.has(name));
  const exported = (format: string) =>
    apiUrl("/api/admin/executions", { ...filters, from, to, limit: 100_000, format });
  return (
    <div className="view">
      <Panel title="Filters">
        <div className="filters">
          <TextFilter name="agent" label="Agent" />
          <TextFilter name="model" label="Model" />
          <ChoiceFilter name="status" label="Status" choices={statuses} />
          <TextFilter name="user_id" label="User" />
          <TextFilter name="error" label="Error contains" className="grow" />
          <Button
            className="fixed"
            size="xs"
            variant="default"
            disabled={!chosen}
            onClick={() => set(Object.fromEntries(all.map((name) => [name, ""])))}
          >
            Clear
          </Button>
        </div>
        <details className="more" open={more.some((name) => params.has(name))}>
          <summary>More filters</summary>
          <div className="filters">
            <ChoiceFilter name="kind" label="Kind" choices={kinds} />
            <TextFilter name="session_id" label="Session" />
            <TextFilter name="trace_id" label="Trace" />
            <TextFilter name="execution_id" label="Execution" />
            <TextFilter name="min_duration_ms" label="At least (ms)" />
            <TextFilter name="max_duration_ms" label="At most (ms)" />
            <TextFilter name="min_cost_usd" label="At least (USD)" />
            <TextFilter name="max_cost_usd" label="At most (USD)" />
          </div>
        </details>
      </Panel>
      <Panel
        title="Executions"
        window={{ from, to: to ?? new Date().toISOString() }}
        source={apiUrl("/api/admin/executions", query)}
        aside={
          <>
            <a href={exported("csv")} download="executions.csv">
              CSV
            </a>
            <a href={exported("ndjson")} download="executions.ndjson">
              NDJSON
            </a>
          </>
        }
      >
        <Answer
          of={list}
          height={400}
          empty={(l) =>
            l.executions.length === 0 &&
            !l.next_cursor &&
            pages.page === 1 &&
            (chosen ? "No execution matches these filters in this window." : "Nothing ran in this window.")
          }
        >
          {(l) => (
            <>
              <ExecutionTable label="Executions" rows={l.executions} />
              <Pager pages={pages} nextCursor={l.next_cursor}>
                {l.next_cursor && (
                  <>
                    Searched back to <When at={l.searched_to} absolute />
                  </>
                )}
              </Pager>
            </>
          )}
        </Answer>
      </Panel>
    </div>
  );
}
