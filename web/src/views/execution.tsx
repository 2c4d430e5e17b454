import { Link, useParams, useSearchParams } from "wouter";
import { api, apiUrl, type Schemas } from "../api/client";
import { count, exact, exactUsd, milliseconds, titleCase, usd } from "../lib/format";
import { useLink } from "../lib/url";
import { Facts, Money, Name, ShortId, Stat, Stats, Status, When } from "../ui/bits";
import { Answer, Panel } from "../ui/panel";
import { Payload } from "../ui/payload";
import { Trace } from "./parts/trace";

export default function Execution() {
  const { id = "" } = useParams();
  const [params] = useSearchParams();
  const path = { execution_id: decodeURIComponent(id) };
  const query = { user_id: params.get("user") ?? undefined, created_at: params.get("at") ?? undefined };
  const answer = api.useQuery("get", "/api/admin/executions/{execution_id}", { params: { path, query } });
  const source = apiUrl(`/api/admin/executions/${encodeURIComponent(path.execution_id)}`, query);
  return (
    <Answer of={answer} height={400}>
      {(a) => (
        <div className="view">
          <Summary of={a.execution} source={source} />
          {a.trace && a.trace.executions > 1 && <Trace of={a.trace} current={a.execution} />}
          <Panel title="Input" className="half">
            <Payload of={a.execution.input_data} label="Input" />
          </Panel>
          <Panel title="Output" className="half">
            <Payload of={a.execution.output_data} label="Output" />
          </Panel>
          <Tokens of={a.execution} price={a.price} />
          <Origin of={a.execution} />
        </div>
      )}
    </Answer>
  );
}

function Summary({ of: x, source }: { of: Schemas["Execution"]; source: string }) {
  return (
    <Panel title={<Name of={x.agent_name} />} aside={<Status of={x.status} />} source={source}>
      <Stats>
        <Stat
          label="Duration"
          value={milliseconds(x.execution_time_ms)}
          note={<When at={x.created_at} absolute />}
        />
        <Stat
          label="Tokens"
          value={x.usage === "unknown" ? "unknown" : count(x.tokens_used)}
          note={
            x.usage === "estimated"
              ? "estimated"
              : `${count(x.input_tokens)} in, ${count(x.output_tokens)} out`
          }
        />
        <Stat
          label="Cost"
          value={x.model_used || x.tokens_used > 0 ? <Money of={x} /> : "–"}
          note={x.price_version && x.cost_usd !== null ? `prices of ${x.price_version}` : undefined}
        />
        <Stat
          label="Model"
          value={x.model_used ? <Name of={x.model_used} limit={40} /> : "–"}
          note={x.provider && <Name of={x.provider} />}
        />
      </Stats>
      {x.error_message && (
        <div className="error-message">
          <Name of={x.error_message} limit={8192} />
        </div>
      )}
    </Panel>
  );
}

type Execution = Schemas["Execution"];

/** How many tokens of each kind there are. Cached ones are a part of the input, reasoning of the output. */
function kinds(x: Execution): [kind: string, tokens: number, price: string, part: boolean][] {
  const b = x.billing ?? {};
  const all: [string, number | undefined, string, boolean][] = [
    ["Input", x.input_tokens, "input", false],
    ["Read from a cache", x.cache_read_tokens, "cache_read", true],
    ["Written to a cache", x.cache_write_tokens, "cache_write", true],
    ["Written for an hour", b.cache_write_1h_tokens, "cache_write_1h", true],
    ["Audio in", b.audio_input_tokens, "audio_input", true],
    ["Images in", b.image_input_tokens, "image_input", true],
    ["Output", x.output_tokens, "output", false],
    ["Reasoning", x.reasoning_tokens, "reasoning", true],
    ["Audio out", b.audio_output_tokens, "audio_output", true],
    ["Images out", b.image_output_tokens, "image_output", true],
  ];
  return all.flatMap(([kind, tokens, price, part]) =>
    tokens || !part ? [[kind, tokens ?? 0, price, part] as [string, number, string, boolean]] : [],
  );
}

function Tokens({ of: x, price }: { of: Execution; price: Schemas["AppliedPrice"] | undefined }) {
  const rates = price?.usd_per_million_tokens ?? {};
  return (
    <Panel
      title="Tokens and price"
      className="half"
      aside={price && `${price.in_force ? "prices" : "now in force: prices"} of ${price.version}`}
    >
      <div className="scroll">
        <table className="table">
          <thead>
            <tr>
              <th scope="col">Kind</th>
              <th scope="col" className="number">
                Tokens
              </th>
              <th scope="col" className="number">
                USD per million
              </th>
            </tr>
          </thead>
          <tbody>
            {kinds(x).map(([kind, tokens, name, part]) => (
              <tr key={kind}>
                <td className={part ? "part" : ""}>{kind}</td>
                <td className="number">{exact(tokens)}</td>
                <td className="number">
                  {rates[name] === undefined ? <span className="muted">–</span> : usd(rates[name])}
                </td>
              </tr>
            ))}
            <tr>
              <td>
                <b>Cost</b>
              </td>
              <td className="number">{exact(x.tokens_used)}</td>
              <td className="number">
                <b>{x.cost_usd === null ? (x.tokens_used > 0 ? "no price" : "–") : exactUsd(x.cost_usd)}</b>
              </td>
            </tr>
          </tbody>
        </table>
      </div>
      <p className="muted remark">
        {price ? (
          <>
            The price of <Name of={price.model} />
            {price.source && (
              <>
                , by <Name of={price.source} />
              </>
            )}
            .{!price.in_force && " The cost was computed by an earlier price table."}
          </>
        ) : x.model_used ? (
          "The price table has no price for this model."
        ) : (
          "No model was named."
        )}
        {x.provider_cost_usd !== null &&
          x.provider_cost_usd !== undefined &&
          ` The provider says ${exactUsd(x.provider_cost_usd)}.`}
      </p>
    </Panel>
  );
}

function Origin({ of: x }: { of: Execution }) {
  const link = useLink();
  const facts: [string, React.ReactNode][] = [
    [
      "User",
      <Link key="u" href={link(`/users/${encodeURIComponent(x.user_id)}`)}>
        <Name of={x.user_id} />
      </Link>,
    ],
    ["Kind", titleCase(x.kind)],
    ["Execution", <ShortId key="e" of={x.execution_id} />],
  ];
  if (x.request_id) facts.push(["Request", <ShortId key="r" of={x.request_id} />]);
  if (x.session_id) {
    facts.push([
      "Session",
      <Link key="s" href={link("/executions", { session_id: x.session_id })}>
        <Name of={x.session_id} />
      </Link>,
    ]);
  }
  if (x.trace_id) {
    facts.push([
      "Trace",
      <Link key="t" href={link("/executions", { trace_id: x.trace_id })}>
        <ShortId of={x.trace_id} />
      </Link>,
    ]);
  }
  if (x.span_id) facts.push(["Span", <ShortId key="sp" of={x.span_id} />]);
  if (x.variant) facts.push(["Variant", <Name key="v" of={x.variant} />]);
  if (x.usage) facts.push(["Usage", x.usage]);
  for (const [name, value] of Object.entries({
    "Service tier": x.billing?.service_tier,
    Region: x.billing?.region,
  })) {
    if (value) facts.push([name, <Name key={name} of={value} />]);
  }
  for (const j of x.joined ?? [])
    facts.push(["Also recorded as", <ShortId key={j.execution_id} of={j.execution_id} />]);
  return (
    <Panel title="Origin" className="half">
      <Facts of={facts} />
    </Panel>
  );
}
