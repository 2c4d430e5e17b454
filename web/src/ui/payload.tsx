import { Button, CopyButton } from "@mantine/core";
import { useState } from "react";
import { bytes } from "../lib/format";
import { printableLines } from "../lib/text";

const first = 20_000; // characters shown until more are asked for

/** Text of strangers in its own lines, never as markup. Long text is shown in part first. */
export function Text({ of, label, className = "" }: { of: string; label: string; className?: string }) {
  const [whole, setWhole] = useState(false);
  const shown = whole ? of : of.slice(0, first);
  return (
    <div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard */}
      <section className={`text ${className}`} tabIndex={0} aria-label={`${label}, text`}>
        {printableLines(shown)}
      </section>
      <div className="pager">
        <span>{bytes(new TextEncoder().encode(of).length)}</span>
        <span className="choices">
          {of.length > first && (
            <Button size="compact-xs" variant="default" onClick={() => setWhole(!whole)}>
              {whole ? "Show the beginning" : "Show all"}
            </Button>
          )}
          <CopyButton value={of}>
            {({ copied, copy }) => (
              <Button
                size="compact-xs"
                variant="default"
                onClick={copy}
                aria-label={`Copy ${label.toLowerCase()}`}
              >
                {copied ? "Copied" : "Copy"}
              </Button>
            )}
          </CopyButton>
        </span>
      </div>
    </div>
  );
}

/** A JSON value as its text; a string of many lines as it is. */
export function Payload({ of, label }: { of: unknown; label: string }) {
  if (of === null || of === undefined) return <div className="empty">Nothing was recorded.</div>;
  const text = typeof of === "string" ? of : JSON.stringify(of, null, 2);
  return <Text of={text} label={label} />;
}
