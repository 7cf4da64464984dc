// The box's answers that more than one screen asks for.

import { useQuery } from "@tanstack/react-query";
import { get } from "./client";
import type { Api } from "./types";

const SYSTEM_INTERVAL_MS = 15_000;
const JOB_INTERVAL_MS = 1_000;

export const useBox = () =>
  useQuery({ queryKey: ["box"], queryFn: ({ signal }) => get<Api<"Box">>("/box", signal), staleTime: Infinity });

export const useSystem = () =>
  useQuery({
    queryKey: ["system"],
    queryFn: ({ signal }) => get<Api<"System">>("/system", signal),
    refetchInterval: SYSTEM_INTERVAL_MS,
  });

export const useAcceleration = () =>
  useQuery({ queryKey: ["acceleration"], queryFn: ({ signal }) => get<Api<"Acceleration">>("/acceleration", signal) });

export const useConsortium = () =>
  useQuery({ queryKey: ["consortium"], queryFn: ({ signal }) => get<Api<"Consortium">>("/consortium", signal) });

export const useKeys = () =>
  useQuery({ queryKey: ["keys"], queryFn: ({ signal }) => get<Api<"Key">[]>("/keys", signal) });

/** A job of the box, asked for again until it has ended. */
export const useJob = (job: number | null) =>
  useQuery({
    queryKey: ["jobs", job],
    queryFn: ({ signal }) => get<Api<"Job">>(`/jobs/${job}`, signal),
    enabled: job !== null,
    refetchInterval: (query) => (query.state.data && query.state.data.state !== "running" ? false : JOB_INTERVAL_MS),
  });
