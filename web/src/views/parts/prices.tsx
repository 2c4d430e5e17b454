import { api, apiUrl, type Schemas } from "../../api/client";
import { count, exactUsd } from "../../lib/format";
import { useParam } from "../../lib/url";
import { Name, When } from "../../ui/bits";
import { TextFilter } from "../../ui/filter";
import { Pager, usePages } from "../../ui/pager";
import { Answer, Panel } from "../../ui/panel";
import { type Column, DataTable } from "../../ui/table";

type Price = Schemas["ListedPrice"];
type Rates = Price["usd_per_million_tokens"];

/** A rate by kind of token, such as the input's when the cache's is not another. */
export function rateOf(rates: Rates | undefined, kind: "input" | "output" | "cache_read" | "cache_write") {
  return rates?.[kind] ?? (kind === "output" ? undefined : rates?.input);
}

/** What changes the price of a request, in words. */
export function conditions(p: Price): string[] {
  return [
    ...(p.tiers ?? []).map(
      (t) =>
        `above ${count(t.above_input_tokens)} input tokens: ${rateOf(t.usd_per_million_tokens, "input")} in, ${rateOf(t.usd_per_million_tokens, "output")} out`,
    ),
    ...(p.service_tiers ?? []).map((s) => `${s.name}: ${changed(s)}`),
    ...(p.hours ?? []).map(
      (h) => `${h.days.join(", ")} ${timeOf(h.from_minute)} to ${timeOf(h.until_minute)} UTC: ${changed(h)}`,
    ),
  ];
}

function changed(x: { factor?: string; usd_per_million_tokens?: Rates }): string {
  if (x.factor) return `× ${x.factor}`;
  return `${rateOf(x.usd_per_million_tokens, "input")} in, ${rateOf(x.usd_per_million_tokens, "output")} out`;
}

function timeOf(minute: number): string {
  const two = (n: number) => String(n).padStart(2, "0");
  return `${two(Math.floor(minute / 60))}:${two(minute % 60)}`;
}

function rateColumn(kind: Parameters<typeof rateOf>[1], title: string, wide = false): Column<Price> {
  return {
    id: kind,
    title,
    number: true,
    wide,
    cell: (p) => exactUsd(rateOf(p.usd_per_million_tokens, kind)),
    sort: (p) => rateOf(p.usd_per_million_tokens, kind),
  };
}

const columns: Column<Price>[] = [
  {
    id: "models",
    title: "Models",
    cell: (p) => (
      <>
        <Name of={p.match.join(", ")} limit={60} />
        {conditions(p).map((c) => (
          <span key={c} className="note">
            <Name of={c} />
          </span>
        ))}
      </>
    ),
    sort: (p) => p.match[0],
  },
  {
    id: "provider",
    title: "Charged by",
    cell: (p) =>
      p.providers.length > 0 ? (
        <Name of={p.providers.join(", ")} limit={40} />
      ) : (
        <span className="muted">any</span>
      ),
    sort: (p) => p.providers[0] ?? "",
  },
  rateColumn("input", "Input"),
  rateColumn("output", "Output"),
  rateColumn("cache_read", "Cache read", true),
  rateColumn("cache_write", "Cache write", true),
  {
    id: "since",
    title: "Since",
    wide: true,
    cell: (p) => (p.from ? <When at={p.from} absolute /> : <span className="muted">always</span>),
    sort: (p) => p.from ?? "",
  },
  {
    id: "source",
    title: "Source",
    wide: true,
    cell: (p) => <Source of={p} />,
    sort: (p) => p.checked_on ?? "",
  },
];

function Source({ of: p }: { of: Price }) {
  const where = p.file ? `${p.file}:${p.line}` : `--prices-file, line ${p.line}`;
  const title = `${where} of ${p.version}`;
  const text = p.checked_on || p.version;
  return p.source && /^https?:\/\//i.test(p.source) ? (
    <a href={p.source} target="_blank" rel="noreferrer noopener" title={title}>
      <Name of={text} limit={24} />
    </a>
  ) : (
    <span title={title}>
      <Name of={text} limit={24} />
    </span>
  );
}

/** The prices that are applied to executions that begin now. */
export function Prices() {
  const [search] = useParam("price");
  const pages = usePages(search);
  const query = { search: search.slice(0, 200) || undefined, limit: 25, cursor: pages.cursor };
  const prices = api.useQuery("get", "/api/admin/prices", { params: { query } });
  return (
    <Panel
      title="Prices in force"
      source={apiUrl("/api/admin/prices", query)}
      aside={
        prices.data && (
          <>
            <span>{count(prices.data.total)} prices</span>
            <Name of={prices.data.version} limit={40} />
          </>
        )
      }
    >
      <div className="filters">
        <TextFilter name="price" label="Model or provider" placeholder="such as gpt-4o or azure" />
      </div>
      <Answer of={prices} height={300} empty={(l) => l.prices.length === 0 && "No price matches."}>
        {(l) => (
          <>
            <DataTable
              label="Prices in force, USD per million tokens"
              rows={l.prices}
              columns={columns}
              rowKey={(p) => `${p.version} ${p.file ?? ""} ${p.line}`}
              sortParam="prices"
            />
            <Pager pages={pages} nextCursor={l.next_cursor} names={["Back", "More"]}>
              USD per million tokens, in the order in which prices are tried
            </Pager>
          </>
        )}
      </Answer>
    </Panel>
  );
}
