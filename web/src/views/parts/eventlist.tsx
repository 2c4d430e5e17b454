import { Link } from "wouter";
import { api, apiUrl, type Schemas } from "../../api/client";
import { titleCase } from "../../lib/format";
import { useLive } from "../../lib/query";
import { useLink } from "../../lib/url";
import { Name, Status, When } from "../../ui/bits";
import { Pager, usePages } from "../../ui/pager";
import { Answer, Panel } from "../../ui/panel";
import { type Column, DataTable } from "../../ui/table";

type Event = Schemas["Event"];

interface Props {
  title: string;
  agentId?: string;
  kind?: Schemas["EventKind"];
  children?: React.ReactNode;
}

function useSubject(): (e: Event) => React.ReactNode {
  const link = useLink();
  return (e) => {
    const name = <Name of={e.name || e.agent_id || ""} limit={80} />;
    if (e.deployment_id) return <Link href={link(`/deployments/${e.deployment_id}`)}>{name}</Link>;
    if (e.report_id) return <Link href={link(`/reports/${e.report_id}`)}>{name}</Link>;
    if (e.agent_id && e.kind !== "agent_deleted") {
      return <Link href={link(`/fleet/${encodeURIComponent(e.agent_id)}`)}>{name}</Link>;
    }
    return name;
  };
}

const agent: Column<Event> = {
  id: "agent",
  title: "Agent",
  wide: true,
  cell: (e) => e.agent_id && <Name of={e.agent_id} limit={40} />,
};

/** What happened, the newest first. */
export function EventList({ title, agentId, kind, children }: Props) {
  const subject = useSubject();
  const pages = usePages(JSON.stringify([agentId, kind]));
  const query = { agent_id: agentId, kind, limit: 50, cursor: pages.cursor };
  const events = api.useQuery("get", "/api/events", { params: { query } }, useLive());
  const columns: Column<Event>[] = [
    {
      id: "time",
      title: "When",
      cell: (e) => (
        <span className="nowrap">
          <When at={e.time} absolute />
        </span>
      ),
    },
    { id: "kind", title: "What", cell: (e) => titleCase(e.kind) },
    { id: "subject", title: "Which", cell: subject },
    { id: "status", title: "Outcome", cell: (e) => e.status && <Status of={e.status} /> },
    ...(agentId ? [] : [agent]),
    { id: "actor", title: "By", wide: true, cell: (e) => <Name of={e.actor} limit={40} /> },
    {
      id: "message",
      title: "Message",
      wide: true,
      cell: (e) =>
        e.message && (
          <span className="message">
            <Name of={e.message} limit={120} />
          </span>
        ),
    },
  ];
  return (
    <Panel title={title} source={apiUrl("/api/events", query)}>
      {children}
      <Answer
        of={events}
        height={240}
        empty={(l) => l.events.length === 0 && pages.page === 1 && "Nothing has happened yet."}
      >
        {(l) => (
          <>
            <DataTable
              label={title}
              rows={l.events}
              columns={columns}
              rowKey={(e) => [e.time, e.kind, e.deployment_id, e.agent_id, e.report_id, e.name].join(" ")}
            />
            <Pager pages={pages} nextCursor={l.next_cursor} />
          </>
        )}
      </Answer>
    </Panel>
  );
}
