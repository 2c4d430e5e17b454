import { useCallback, useEffect, useState } from "react";
import { errorOf } from "../../api/client";

const shown = 1 << 20; // characters of a log that are kept here
const every = 1500; // milliseconds between pieces of a log that is being written

export interface Log {
  text: string;
  /** Whether the beginning was left out. */
  cut: boolean;
  following: boolean;
  error: string;
  retry: () => void;
}

const nothing = { text: "", cut: false, following: true, error: "" };

/** Adds a piece to a log and keeps its end. */
export function append(
  log: { text: string; cut: boolean },
  piece: string,
  limit = shown,
): { text: string; cut: boolean } {
  const text = log.text + piece;
  return text.length <= limit ? { text, cut: log.cut } : { text: text.slice(-limit), cut: true };
}

/** An attempt's log, read on until the attempt is over. */
export function useLog(deployment: string, attempt: number, claimed: boolean): Log {
  const [state, setState] = useState(nothing);
  const [tries, setTries] = useState(0);
  // Tries is what starts it again.
  useEffect(() => {
    setState(nothing);
    if (!claimed) return;
    const stop = new AbortController();
    void follow(deployment, attempt, stop.signal, setState);
    return () => stop.abort();
  }, [deployment, attempt, claimed, tries]);
  return { ...state, retry: useCallback(() => setTries((n) => n + 1), []) };
}

type Set = React.Dispatch<React.SetStateAction<typeof nothing>>;

async function follow(deployment: string, attempt: number, signal: AbortSignal, set: Set) {
  let offset = 0;
  // Bytes of a character may come in two pieces.
  const decoder = new TextDecoder();
  try {
    while (!signal.aborted) {
      const url = `/api/deployments/${encodeURIComponent(deployment)}/logs?attempt=${attempt}&offset=${offset}`;
      const response = await fetch(url, { signal });
      if (!response.ok) throw await errorOf(response);
      const bytes = await response.arrayBuffer();
      const complete = response.headers.get("Watchbill-Log-Complete") === "true";
      offset = Number(response.headers.get("Watchbill-Next-Offset") ?? offset + bytes.byteLength);
      const piece = decoder.decode(bytes, { stream: !complete });
      set((log) => ({ ...append(log, piece), following: !complete, error: "" }));
      if (complete) return;
      if (bytes.byteLength === 0) await wait(every, signal);
    }
  } catch (error) {
    if (signal.aborted) return;
    set((log) => ({
      ...log,
      following: false,
      error: error instanceof Error ? error.message : String(error),
    }));
  }
}

function wait(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
