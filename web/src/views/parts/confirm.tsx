import { Button, Modal } from "@mantine/core";
import { useState } from "react";
import { Failure } from "../../ui/states";

interface Props {
  /** What the button and the question's answer say, such as "Cancel the deployment". */
  action: string;
  question: string;
  run: () => Promise<unknown>;
}

/** A button for what cannot be undone: it asks first. */
export function Confirm({ action, question, run }: Props) {
  const [open, setOpen] = useState(false);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  async function confirmed() {
    setBusy(true);
    try {
      await run();
      setOpen(false);
      setError(undefined);
    } catch (fault) {
      setError(fault);
    } finally {
      setBusy(false);
    }
  }
  return (
    <>
      <Button size="compact-xs" variant="default" onClick={() => setOpen(true)}>
        {action}
      </Button>
      <Modal
        opened={open}
        onClose={() => setOpen(false)}
        title={action}
        lockScroll={false}
        closeButtonProps={{ "aria-label": "Close" }}
      >
        <div className="stack">
          {error !== undefined && <Failure error={error} />}
          <p>{question}</p>
          <div className="choices end">
            <Button variant="default" onClick={() => setOpen(false)}>
              Keep it
            </Button>
            <Button color="red" className="danger" loading={busy} onClick={confirmed}>
              {action}
            </Button>
          </div>
        </div>
      </Modal>
    </>
  );
}
