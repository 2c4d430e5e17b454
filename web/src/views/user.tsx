import { useQueryClient } from "@tanstack/react-query";
import { Link, useLocation, useParams } from "wouter";
import { api, apiUrl } from "../api/client";
import { useLive } from "../lib/query";
import { useLink } from "../lib/url";
import { Name } from "../ui/bits";
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
