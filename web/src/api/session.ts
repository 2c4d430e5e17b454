import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { errorOf, setCsrfToken, whenRefused } from "./client";

export interface Session {
  role: string;
  csrf_token: string;
  expires_at: string;
}

const key = ["session"];
const path = "/api/session";

// What is remembered lets the next visit show its view at once, while the server is asked. It opens nothing: requests are
// answered by the cookie alone.
const rememberedKey = "watchbill-session";

function remember(session: Session | null) {
  try {
    if (session) {
      const { role, expires_at } = session;
      localStorage.setItem(rememberedKey, JSON.stringify({ role, expires_at }));
    } else {
      localStorage.removeItem(rememberedKey);
    }
  } catch {
    // Storage is disabled: every visit waits for the server.
  }
}

/** The session of the last visit, without the right to write; undefined if there was none or it has expired. */
export function remembered(now = Date.now()): Session | undefined {
  try {
    const known = JSON.parse(localStorage.getItem(rememberedKey) ?? "null") as Partial<Session> | null;
    const { role, expires_at } = known ?? {};
    if (typeof role !== "string" || !(Date.parse(String(expires_at)) > now)) return undefined;
    return { role, expires_at: String(expires_at), csrf_token: "" };
  } catch {
    return undefined; // storage is disabled, or something else wrote there
  }
}

async function getSession(): Promise<Session | null> {
  const response = await fetch(path, { headers: { Accept: "application/json" } });
  if (response.status === 401) {
    remember(null);
    return null;
  }
  if (!response.ok) throw await errorOf(response);
  const session = (await response.json()) as Session;
  setCsrfToken(session.csrf_token);
  remember(session);
  return session;
}

/** The session of this browser; null if nobody is signed in. */
export function useSession() {
  const queries = useQueryClient();
  useEffect(() => whenRefused(() => queries.invalidateQueries({ queryKey: key })), [queries]);
  return useQuery({
    queryKey: key,
    queryFn: getSession,
    placeholderData: () => remembered(),
    staleTime: 60_000,
    retry: 1,
    refetchInterval: 300_000,
  });
}

export function useSignIn() {
  const queries = useQueryClient();
  return async (by: { token: string } | { code: string }) => {
    const response = await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(by),
    });
    if (!response.ok) throw await errorOf(response);
    const session = (await response.json()) as Session;
    setCsrfToken(session.csrf_token);
    remember(session);
    queries.setQueryData(key, session);
  };
}

export function useSignOut(session: Session | null) {
  const queries = useQueryClient();
  return async () => {
    const response = await fetch(path, {
      method: "DELETE",
      headers: { "X-CSRF-Token": session?.csrf_token ?? "" },
    });
    if (!response.ok && response.status !== 401) throw await errorOf(response);
    remember(null);
    queries.setQueryData(key, null);
    queries.removeQueries({ predicate: (query) => query.queryKey[0] !== key[0] });
  };
}
