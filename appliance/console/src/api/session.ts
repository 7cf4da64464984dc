// Who is logged in. One query holds it; whatever logs in or out writes it.

import { QueryClient, queryOptions, useQuery, useQueryClient } from "@tanstack/react-query";
import { useCallback } from "react";
import { get, request, setCsrfToken, whenUnauthenticated } from "./client";
import { ApiError, problemIn } from "./problem";
import type { Api, Role } from "./types";

export type Session = Api<"SessionView">;

const SESSION = ["session"] as const;
const BOX = ["box"] as const;
const RANK: Record<Role, number> = { viewer: 0, operator: 1, "security-officer": 2 };

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 5_000,
      // A refusal stays one; a box that could not be reached may be there the next time.
      retry: (failures, error) => failures < 2 && (error instanceof ApiError ? error.problem.status === 0 : false),
      refetchOnWindowFocus: false,
    },
    mutations: { retry: false },
  },
});

async function fetchSession(): Promise<Session | null> {
  try {
    const session = await get<Session>("/session");
    setCsrfToken(session.csrf_token);
    return session;
  } catch (error) {
    if (problemIn(error).status === 401) return null;
    throw error;
  }
}

// A session gets another cookie when it is allowed more, so that a request with the old one proves nothing by itself.
whenUnauthenticated(() => {
  if (queryClient.getQueryData(SESSION) != null) void refreshSession();
});

function forgetSession(): void {
  setCsrfToken(null);
  queryClient.setQueryData(SESSION, null);
  // What one user saw is not for the next.
  queryClient.removeQueries({ predicate: (query) => query.queryKey[0] !== SESSION[0] && query.queryKey[0] !== BOX[0] });
  // A session also ends where the box has started again, with another name perhaps.
  void queryClient.invalidateQueries({ queryKey: BOX });
}

/** The session as the box sees it: null without one. */
export const sessionQuery = queryOptions({ queryKey: SESSION, queryFn: fetchSession, staleTime: Infinity });

/** The session, where the caller stands behind a login. */
export function useSession(): Session {
  const { data } = useQuery(sessionQuery);
  if (!data) throw new Error("there is no session");
  return data;
}

/** Takes a new session over. */
export function useEnter(): (session: Session) => void {
  const client = useQueryClient();
  return useCallback(
    (session) => {
      setCsrfToken(session.csrf_token);
      client.setQueryData(SESSION, session);
    },
    [client],
  );
}

let refreshing: Promise<void> | null = null;

/** Asks the box again who is logged in, where something may have changed that. One that does not answer changes nothing. */
export function refreshSession(): Promise<void> {
  refreshing ??= fetchSession()
    .then(
      (session) => {
        if (session) queryClient.setQueryData(SESSION, session);
        else forgetSession();
      },
      () => undefined,
    )
    .finally(() => {
      refreshing = null;
    });
  return refreshing;
}

/** Ends the session, at the box too where that can be reached. */
export async function logOut(): Promise<void> {
  try {
    await request("DELETE", "/session");
  } finally {
    forgetSession();
  }
}

/** Whether a role includes another. */
export function includesRole(role: Role, needed: Role): boolean {
  return RANK[role] >= RANK[needed];
}

/** Whether the user's role includes another. */
export function useMay(needed: Role): boolean {
  return includesRole(useSession().user.role, needed);
}
