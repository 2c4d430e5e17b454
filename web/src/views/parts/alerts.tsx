import { api, type Schemas } from "../../api/client";
import { count } from "../../lib/format";
import { useLive } from "../../lib/query";
import { Name, Status, type Tone, When } from "../../ui/bits";
import { Answer, Panel } from "../../ui/panel";
import { Failure } from "../../ui/states";

type Alert = Schemas["Alert"];

const severe = ["critical", "page", "error", "high"];

/** How many alerts are shown without a click. */
const atFirst = 8;

/** How an alert's state looks: an alert of severity none fires always, to show that alerting works. */
export function toneOf(a: Pick<Alert, "state" | "severity">): Tone {
  if (a.state !== "firing" || a.severity === "none") return "none";
  return severe.includes(a.severity) ? "bad" : "warn";
}

/** What fires now, in the Prometheus or Alertmanager that the server reads. */
export function Alerts() {
  const alerts = api.useQuery("get", "/api/admin/alerts", {}, useLive());
  const known = alerts.data?.configured && !alerts.data.fault ? alerts.data : undefined;
  return (
    <Panel
      title="Alerts"
      className="half"
      source="/api/admin/alerts"
      aside={
        known && (
          <>
            <Status of={`${count(known.firing)} firing`} tone={worst(known.alerts)} />
            <span>
              {known.source === "alertmanager" ? "Alertmanager" : "Prometheus"}, <When at={known.read_at} />
            </span>
          </>
        )
      }
    >
      <Answer of={alerts} height={120} empty={(l) => !l.configured && <HowTo />}>
        {(l) =>
          l.fault ? (
            <Failure error={new Error(l.fault)} retry={() => alerts.refetch()} />
          ) : l.alerts.length === 0 ? (
            <div className="empty">No alert is active.</div>
          ) : (
            <>
              <Rows of={l.alerts.slice(0, atFirst)} />
              {l.alerts.length > atFirst && (
                <details className="more">
                  <summary>{count(l.alerts.length - atFirst)} less urgent ones</summary>
                  <Rows of={l.alerts.slice(atFirst)} />
                </details>
              )}
              {l.total > l.alerts.length && (
                <p className="remark muted">{count(l.total - l.alerts.length)} more are active.</p>
              )}
            </>
          )
        }
      </Answer>
    </Panel>
  );
}

export function worst(all: Pick<Alert, "state" | "severity">[]): Tone {
  const tones = all.map(toneOf);
  return tones.includes("bad") ? "bad" : tones.includes("warn") ? "warn" : "ok";
}

function HowTo() {
  return (
    <>
      No alerts are read. Start the server with <code>--alerts-url</code> and the address of a Prometheus or
      an Alertmanager.
    </>
  );
}

function Rows({ of }: { of: Alert[] }) {
  return (
    <ul className="alerts">
      {of.map((a) => (
        <Row key={a.name + a.severity + JSON.stringify(a.labels)} alert={a} />
      ))}
    </ul>
  );
}

function Row({ alert: a }: { alert: Alert }) {
  const labels = Object.entries(a.labels)
    .map(([name, value]) => `${name}=${value}`)
    .join(", ");
  return (
    <li>
      <Status of={a.state} tone={toneOf(a)} />
      <span className="what">
        <strong>
          <Name of={a.name} limit={60} />
        </strong>{" "}
        {a.severity && (
          <span className="muted">
            <Name of={a.severity} limit={20} />
          </span>
        )}
        <span className="reason">
          <Name of={a.summary || a.description || labels} limit={200} />
        </span>
      </span>
      <span className="links">
        <When at={a.since} />
        {a.runbook_url && <Away to={a.runbook_url} text="Runbook" name={a.name} />}
        {a.source_url && <Away to={a.source_url} text="Graph" name={a.name} />}
      </span>
    </li>
  );
}

/** A link to another host, which learns nothing about this page. */
function Away({ to, text, name }: { to: string; text: string; name: string }) {
  if (!/^https?:\/\//i.test(to)) return null;
  return (
    <a href={to} target="_blank" rel="noreferrer noopener" title={to} aria-label={`${text} of ${name}`}>
      {text}
    </a>
  );
}
