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

export function SettingsProvider({ children }: { children: ReactNode }) {
  const [zone, setZone] = useState(storedZone);
  const [refresh, setRefresh] = useState<number | false>(15_000);
  const value = useMemo(
    () => ({
      zone,
      setZone: (next: Zone) => {
        storeZone(next);
        setZone(next);
      },
      refresh,
      setRefresh,
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
