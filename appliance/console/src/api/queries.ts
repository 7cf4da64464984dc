// The box's answers that more than one screen asks for.

import { queryOptions, useQuery } from "@tanstack/react-query";
import { get } from "./client";
import type { Api } from "./types";

const SYSTEM_INTERVAL_MS = 15_000;
const JOB_INTERVAL_MS = 1_000;
/** Boxes join and members vote while somebody watches. */
const CONSORTIUM_INTERVAL_MS = 10_000;

export const boxQuery = queryOptions({
  queryKey: ["box"],
  queryFn: ({ signal }) => get<Api<"Identity">>("/box", signal),
  staleTime: Infinity,
});
export const useBox = () => useQuery(boxQuery);

export const useSystem = () =>
  useQuery({
    queryKey: ["system"],
    queryFn: ({ signal }) => get<Api<"Machine">>("/system", signal),
    refetchInterval: SYSTEM_INTERVAL_MS,
  });

export const useAcceleration = () =>
  useQuery({ queryKey: ["acceleration"], queryFn: ({ signal }) => get<Api<"Acceleration">>("/acceleration", signal) });

export const useConsortium = () =>
  useQuery({
    queryKey: ["consortium"],
    queryFn: ({ signal }) => get<Api<"Consortium">>("/consortium", signal),
    refetchInterval: CONSORTIUM_INTERVAL_MS,
  });

export const useKeys = () =>
  useQuery({ queryKey: ["keys"], queryFn: ({ signal }) => get<Api<"Key">[]>("/keys", signal) });

export const useStatus = (intervalMs: number | false = false) =>
  useQuery({
    queryKey: ["status"],
    queryFn: ({ signal }) => get<Api<"Status">>("/status", signal),
    refetchInterval: intervalMs,
  });

export const networkQuery = queryOptions({
  queryKey: ["network"],
  queryFn: ({ signal }) => get<Api<"Network">>("/network", signal),
});

export const useSettings = () =>
  useQuery({ queryKey: ["settings"], queryFn: ({ signal }) => get<Api<"Settings">>("/settings", signal) });

export const useBackups = () =>
  useQuery({ queryKey: ["backups"], queryFn: ({ signal }) => get<Api<"Backups">>("/backups", signal) });

/** The fingerprint of the certificate that browsers see from the next start on, where it is another one. */
export const useNextFingerprint = () =>
  useKeys().data?.find(({ next_fingerprint }) => typeof next_fingerprint === "string")?.next_fingerprint ?? undefined;

/** A job of the box, asked for again until it has ended. */
export const useJob = (job: number | null) =>
  useQuery({
    queryKey: ["jobs", job],
    queryFn: ({ signal }) => get<Api<"Job">>(`/jobs/${job}`, signal),
    enabled: job !== null,
    refetchInterval: (query) => (query.state.data && query.state.data.state !== "running" ? false : JOB_INTERVAL_MS),
  });
