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

async function getSession(): Promise<Session | null> {
  const response = await fetch(path, { headers: { Accept: "application/json" } });
  if (response.status === 401) return null;
  if (!response.ok) throw await errorOf(response);
  const session = (await response.json()) as Session;
  setCsrfToken(session.csrf_token);
  return session;
}

/** The session of this browser; null if nobody is signed in. */
export function useSession() {
  const queries = useQueryClient();
  useEffect(() => whenRefused(() => queries.invalidateQueries({ queryKey: key })), [queries]);
  return useQuery({
    queryKey: key,
    queryFn: getSession,
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
    queries.setQueryData(key, null);
    queries.removeQueries({ predicate: (query) => query.queryKey[0] !== key[0] });
  };
}
