import { useSettings } from "./settings";

/** The options of a query whose answer is read again as the reader has chosen. The last answer stays while it is. */
export function useLive() {
  const { refresh } = useSettings();
  return {
    refetchInterval: refresh,
    placeholderData: <T>(before: T | undefined): T | undefined => before,
  } as const;
}
