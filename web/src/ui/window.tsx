import { NativeSelect, TextInput } from "@mantine/core";
import { useEffect, useState } from "react";
import { useSettings } from "../lib/settings";
import { fieldTime, parseFieldTime } from "../lib/time";
import { interval, parseInterval, useWindow, windows } from "../lib/url";

/** Chooses the window of a view: one that ends now, or one between two times. */
export function WindowChoice() {
  const { id, hours, custom, set } = useWindow();
  function choose(next: string) {
    if (next !== "custom") {
      set(next);
      return;
    }
    const now = Math.floor(Date.now() / 60_000) * 60_000;
    set(interval(new Date(now - hours * 3_600_000), new Date(now)));
  }
  return (
    <>
      <NativeSelect
        size="xs"
        aria-label="Window"
        value={custom ? "custom" : id}
        onChange={(e) => choose(e.currentTarget.value)}
        data={[
          ...windows.map(([value, label]) => ({ value, label })),
          { value: "custom", label: "From … to …" },
        ]}
      />
      {custom && <Bounds {...custom} set={(from, to) => set(interval(from, to))} />}
    </>
  );
}

interface BoundsProps {
  from: Date;
  to: Date;
  set: (from: Date, to: Date) => void;
}

/** The two times, in the reader's zone. They apply when a field is left and on Enter. */
function Bounds({ from, to, set }: BoundsProps) {
  const { zone } = useSettings();
  const [texts, setTexts] = useState<[string, string]>(["", ""]);
  const [fault, setFault] = useState(false);
  useEffect(() => {
    setTexts([fieldTime(from, zone), fieldTime(to, zone)]);
    setFault(false);
  }, [from, to, zone]);
  function apply() {
    const [first, last] = texts.map((text) => parseFieldTime(text, zone));
    if (!first || !last || !parseInterval(interval(first, last))) {
      setFault(true);
      return;
    }
    setFault(false);
    if (interval(first, last) !== interval(from, to)) set(first, last);
  }
  return ["From", "To"].map((label, i) => (
    <TextInput
      key={label}
      size="xs"
      type="datetime-local"
      aria-label={label}
      title={fault ? "The window must begin before it ends and be at most 366 days long." : label}
      error={fault}
      value={texts[i]}
      onChange={(e) => {
        const text = e.currentTarget.value;
        setTexts(([first, last]) => (i === 0 ? [text, last] : [first, text]));
      }}
      onBlur={apply}
      onKeyDown={(e) => e.key === "Enter" && apply()}
    />
  ));
}
