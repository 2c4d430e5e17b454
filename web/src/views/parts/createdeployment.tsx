import { Button, Modal, NumberInput, Textarea, TextInput } from "@mantine/core";
import { useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { useLocation } from "wouter";
import { api, type Schemas } from "../../api/client";
import { Failure } from "../../ui/states";

interface Props {
  /** The agents that are filled in: by id, or by their labels. */
  agentId?: string;
  label?: string;
  /** A deployment to repeat. */
  like?: Schemas["Deployment"];
}

/** Parses a spec. The server says what else is wrong with it. */
export function parseSpec(text: string): Record<string, unknown> | string {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value))
      return value as Record<string, unknown>;
    return "The spec must be a JSON object.";
  } catch (error) {
    return `The spec is not JSON: ${error instanceof Error ? error.message : String(error)}`;
  }
}

export function CreateDeployment(props: Props) {
  const [open, setOpen] = useState(false);
  return (
    <>
      <Button size="compact-xs" variant={props.like ? "default" : "filled"} onClick={() => setOpen(true)}>
        {props.like ? "Run again" : "Deploy"}
      </Button>
      <Modal
        opened={open}
        onClose={() => setOpen(false)}
        title={props.like ? "Run a deployment again" : "Deploy"}
        lockScroll={false}
        size="lg"
        closeButtonProps={{ "aria-label": "Close" }}
      >
        {open && <Form {...props} close={() => setOpen(false)} />}
      </Modal>
    </>
  );
}

function Form({ agentId, label, like, close }: Props & { close: () => void }) {
  const [agents, setAgents] = useState(like?.agent_id ?? agentId ?? "");
  const [selector, setSelector] = useState(label ?? "");
  const [name, setName] = useState(like?.name ?? "");
  const [spec, setSpec] = useState(JSON.stringify(like?.spec ?? {}, null, 2));
  const [attempts, setAttempts] = useState<number | string>(like?.max_attempts ?? 3);
  const [fault, setFault] = useState<string>();
  // A key of its own, so that sending the form twice creates the deployments once.
  const [key] = useState(() => crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`);
  const [, go] = useLocation();
  const queries = useQueryClient();
  const create = api.useMutation("post", "/api/deployments");

  function submit(event: FormEvent) {
    event.preventDefault();
    const parsed = parseSpec(spec);
    if (typeof parsed === "string") {
      setFault(parsed);
      return;
    }
    setFault(undefined);
    const ids = agents.split(/[\s,]+/).filter(Boolean);
    const target = selector && ids.length === 0 ? { selector } : { agent_ids: ids };
    create.mutate(
      {
        params: { header: { "Idempotency-Key": key } },
        body: {
          ...target,
          name,
          spec: parsed,
          max_attempts: Number(attempts),
          lease_seconds: like?.lease_seconds ?? 300,
        },
      },
      {
        onSuccess: (made) => {
          void queries.invalidateQueries({ queryKey: ["get", "/api/deployments"] });
          close();
          go(`/deployments?group_id=${made.group_id}`);
        },
      },
    );
  }

  return (
    <form onSubmit={submit} className="stack">
      {create.isError && <Failure error={create.error} />}
      <TextInput
        label="Agents"
        description="Their ids, separated by commas. Leave this empty to choose them by labels."
        value={agents}
        onChange={(e) => setAgents(e.currentTarget.value)}
      />
      {!like && !agentId && (
        <TextInput
          label="Labels"
          description="A selector such as region=eu,tier in (edge,core)"
          value={selector}
          onChange={(e) => setSelector(e.currentTarget.value)}
          disabled={agents.trim() !== ""}
        />
      )}
      <TextInput label="Name" required value={name} onChange={(e) => setName(e.currentTarget.value)} />
      <Textarea
        label="Spec"
        description="A JSON object, handed to the agents as it is"
        required
        rows={8}
        value={spec}
        error={fault}
        onChange={(e) => setSpec(e.currentTarget.value)}
        classNames={{ input: "mono" }}
      />
      <NumberInput label="Attempts" min={1} max={100} value={attempts} onChange={setAttempts} hideControls />
      <div className="choices end">
        <Button variant="default" onClick={close}>
          Close
        </Button>
        <Button type="submit" loading={create.isPending}>
          {like ? "Run again" : "Deploy"}
        </Button>
      </div>
    </form>
  );
}
