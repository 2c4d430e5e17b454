import { Button, NativeSelect, TextInput } from "@mantine/core";
import { useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { Link, useLocation } from "wouter";
import { api, apiUrl, type Schemas } from "../api/client";
import { useLive } from "../lib/query";
import { useLink, useParam, windows } from "../lib/url";
import { Name, Status, When } from "../ui/bits";
import { TextFilter } from "../ui/filter";
import { Pager, usePages } from "../ui/pager";
import { Answer, Panel, WindowText } from "../ui/panel";
import { Failure } from "../ui/states";
import { type Column, DataTable } from "../ui/table";

type Summary = Schemas["ReportSummary"];

export default function Reports() {
  const [name] = useParam("name");
  const [first, setFirst] = useState<string>();
  const link = useLink();
  const pages = usePages(name);
  const query = { name: name || undefined, limit: 50, cursor: pages.cursor };
  const reports = api.useQuery("get", "/api/reports", { params: { query } }, useLive());
  const columns: Column<Summary>[] = [
    {
      id: "name",
      title: "Report",
      cell: (r) => (
        <Link href={link(`/reports/${r.id}`)}>
          {r.name ? <Name of={r.name} limit={60} /> : <span>without a name</span>}
        </Link>
      ),
      sort: (r) => r.name,
    },
    { id: "verdict", title: "Verdict", cell: (r) => <Status of={r.verdict} />, sort: (r) => r.verdict },
    { id: "window", title: "Window", wide: true, cell: (r) => <WindowText window={r.window} /> },
    {
      id: "namespace",
      title: "Namespace",
      wide: true,
      cell: (r) => r.namespace ?? <span className="muted">–</span>,
      sort: (r) => r.namespace,
    },
    {
      id: "made",
      title: "Made",
      number: true,
      cell: (r) => <When at={r.created_at} />,
      sort: (r) => r.created_at,
    },
    {
      id: "compare",
      title: "Compare",
      wide: true,
      cell: (r) =>
        first === undefined ? (
          <Button size="compact-xs" variant="subtle" onClick={() => setFirst(r.id)}>
            Choose
          </Button>
        ) : first === r.id ? (
          <Button size="compact-xs" variant="subtle" onClick={() => setFirst(undefined)}>
            Chosen
          </Button>
        ) : (
          <Link href={link(`/reports/${first}`, { with: r.id })}>With this</Link>
        ),
    },
  ];
  return (
    <div className="view">
      <Make />
      <Panel title="Reports" source={apiUrl("/api/reports", query)}>
        <div className="filters within">
          <TextFilter name="name" label="Name" />
        </div>
        <Answer
          of={reports}
          height={300}
          empty={(l) => l.reports.length === 0 && pages.page === 1 && "No report has been made."}
        >
          {(l) => (
            <>
              <DataTable
                label="Reports"
                rows={l.reports}
                columns={columns}
                rowKey={(r) => r.id}
                order="-made"
              />
              <Pager pages={pages} nextCursor={l.next_cursor} />
            </>
          )}
        </Answer>
      </Panel>
    </div>
  );
}

function Make() {
  const [name, setName] = useState("");
  const [hours, setHours] = useState("24");
  const [, go] = useLocation();
  const queries = useQueryClient();
  const create = api.useMutation("post", "/api/reports");
  function submit(event: FormEvent) {
    event.preventDefault();
    create.mutate(
      { body: { name: name.trim() || undefined, hours: Number(hours), compare_with: "Previous" } },
      {
        onSuccess: (report) => {
          void queries.invalidateQueries({ queryKey: ["get", "/api/reports"] });
          go(`/reports/${report.id}`);
        },
      },
    );
  }
  return (
    <Panel title="Make a report">
      {create.isError && <Failure error={create.error} />}
      <form className="filters" onSubmit={submit}>
        <TextInput
          size="xs"
          label="Name"
          value={name}
          maxLength={100}
          onChange={(e) => setName(e.currentTarget.value)}
        />
        <NativeSelect
          size="xs"
          label="Window"
          value={hours}
          onChange={(e) => setHours(e.currentTarget.value)}
          data={windows.map(([, label, h]) => ({ value: String(h), label }))}
        />
        <Button className="fixed" size="xs" type="submit" loading={create.isPending}>
          Make a report
        </Button>
      </form>
    </Panel>
  );
}
