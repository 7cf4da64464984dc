// What the figures mean: whether the chain goes on, as this box sees it.

import type { Live } from "./live";

/** Well beyond any view change, so that a failed leader alone does not raise an alarm. */
const STALL_MS = 4_000;
const STALL_NO_QUORUM_MS = 1_500;
const NAMES_MAX = 5;

export type HealthKey =
  "syncing" | "syncing_alone" | "no_quorum" | "cut_off" | "stalled" | "no_spare" | "peer_down" | "ok" | "ok_follower";

export interface Health {
  level: "danger" | "warning" | "info" | "success";
  key: HealthKey;
  values: {
    names: string[];
    down: number;
    all: number;
    reachable: number;
    validators: number;
    quorum: number;
    spare: number;
    height: number;
    ageMs: number;
  };
}

/** The chain's health by the last status; null before the first. */
export function assess({ status, headAgeMs, blocks }: Pick<Live, "status" | "headAgeMs" | "blocks">): Health | null {
  if (!status) return null;
  const down = status.peers.filter((peer) => !peer.connected);
  const up = status.peers.length - down.length;
  const votes = status.role === "validator";
  // Followers carry blocks but have no vote.
  const validatorsUp = status.peers.filter((peer) => peer.connected && peer.role === "validator").length;
  const reachable = validatorsUp + (votes ? 1 : 0);
  const age = headAgeMs ?? 0;
  const names = down.slice(0, NAMES_MAX).map((peer) => `${peer.name || peer.public_key.slice(0, 8)} (${peer.address})`);
  if (down.length > NAMES_MAX) names.push(`+${down.length - NAMES_MAX}`);
  const values = {
    names,
    down: down.length,
    all: status.peers.length,
    reachable,
    validators: status.validators,
    quorum: status.quorum,
    spare: status.validators - status.quorum,
    height: Math.max(status.height, blocks[0]?.number ?? 0),
    ageMs: age,
  };
  const verdict = (level: Health["level"], key: HealthKey): Health => ({ level, key, values });
  if (status.syncing) return up > 0 ? verdict("info", "syncing") : verdict("danger", "syncing_alone");
  if (votes && reachable < status.quorum && age > STALL_NO_QUORUM_MS) return verdict("danger", "no_quorum");
  if (!votes && up === 0 && age > STALL_MS) return verdict("danger", "cut_off");
  if (age > STALL_MS) return verdict("danger", "stalled");
  if (votes && down.length > 0 && reachable <= status.quorum) return verdict("warning", "no_spare");
  if (down.length > 0) return verdict("warning", "peer_down");
  return verdict("success", votes ? "ok" : "ok_follower");
}
