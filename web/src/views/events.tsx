import type { Schemas } from "../api/client";
import { titleCase } from "../lib/format";
import { useParam } from "../lib/url";
import { ChoiceFilter } from "../ui/filter";
import { EventList } from "./parts/eventlist";

const kinds: Schemas["EventKind"][] = [
  "agent_enrolled",
  "agent_deleted",
  "deployment_created",
  "deployment_ended",
  "attempt_failed",
  "report_created",
  "user_erased",
  "name_registered",
  "replica_started",
  "replica_stopped",
];

export default function Events() {
  const [kind] = useParam("kind");
  return (
    <div className="view">
      <EventList title="Events" kind={(kind as Schemas["EventKind"]) || undefined}>
        <div className="filters within">
          <ChoiceFilter
            name="kind"
            label="Kind"
            choices={[["", "Any"], ...kinds.map((k): [string, string] => [k, titleCase(k)])]}
          />
        </div>
      </EventList>
    </div>
  );
}
