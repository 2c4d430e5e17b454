import { createContext, type ReactNode, useContext, useMemo, useState } from "react";
import { storedZone, storeZone, type Zone } from "./time";

interface Settings {
  zone: Zone;
  setZone: (zone: Zone) => void;
  /** How often views are read again, in milliseconds; false for never. */
  refresh: number | false;
  setRefresh: (every: number | false) => void;
}

const Context = createContext<Settings | null>(null);

export const refreshes: (number | false)[] = [false, 5_000, 15_000, 60_000];
const refreshKey = "watchbill-refresh";

export function storedRefresh(): number | false {
  try {
    const stored = localStorage.getItem(refreshKey);
    return refreshes.find((every) => String(every) === stored) ?? 15_000;
  } catch {
    return 15_000; // storage is disabled
  }
}

function storeRefresh(every: number | false) {
  try {
    localStorage.setItem(refreshKey, String(every));
  } catch {
    // Storage is disabled: the choice lasts for this visit.
  }
}

export function SettingsProvider({ children }: { children: ReactNode }) {
  const [zone, setZone] = useState(storedZone);
  const [refresh, setRefresh] = useState(storedRefresh);
  const value = useMemo(
    () => ({
      zone,
      setZone: (next: Zone) => {
        storeZone(next);
        setZone(next);
      },
      refresh,
      setRefresh: (every: number | false) => {
        storeRefresh(every);
        setRefresh(every);
      },
    }),
    [zone, refresh],
  );
  return <Context.Provider value={value}>{children}</Context.Provider>;
}

export function useSettings(): Settings {
  const settings = useContext(Context);
  if (!settings) throw new Error("useSettings is used outside of SettingsProvider");
  return settings;
}
