// The status and the stream of events, with every block at its full rate.

import { STREAMED, type Context, type Route } from "./http.ts";
import { BLOCK_MS, CHAIN_ID, hashOf } from "./chain.ts";
import type { MockState } from "./state.ts";
import { keys } from "./box.ts";
import { provisioning } from "./next-start.ts";

const RECENT = 64;
const STATUS_MS = 2_000;

function status(state: MockState, withBlocks: boolean) {
  const { chain, options } = state;
  const height = chain.height;
  const trouble = options.trouble === "all";
  const hex = (name: string) => hashOf("key", name).slice(2);
  const peer = (name: string, index: number, connected: boolean, role = "validator") => ({
    name,
    public_key: hex(name),
    address: `10.20.0.${11 + index}:26656`,
    connected,
    role,
    height: connected ? height : height - 4_200,
  });
  return {
    name: state.settings.name,
    version: "0.9.3",
    chain_id: CHAIN_ID,
    genesis_hash: hashOf("block", 0),
    role: "validator",
    height,
    head_hash: hashOf("block", height),
    head_age_ms: Math.max(0, Date.now() - chain.timestampMs(height)),
    syncing: false,
    peers: [
      peer("alpha-2", 1, true),
      peer("beta-1", 2, true),
      peer("gamma-1", 3, !trouble),
      peer("", 4, true, "follower"),
    ],
    epoch: 42,
    validators: 4,
    quorum: 3,
    finality_ms: { p50: 41.2, p99: 96.7, samples: 1_000 },
    pool: { pending: 1_240 + (height % 300), queued: 12, bytes: 412_000 },
    uptime_s: 86_400 * 3 + 4_000,
    rpc_url: "https://alpha-1.box.example:8545",
    alarms: trouble
      ? [
          {
            id: "votes_fenced",
            severity: "critical",
            values: { fence: "view 9182" },
            cause: "votes up to view 9182 may have been signed by a copy of this box's log of votes",
            next: "look for another box with this key and stop it; this one votes again when the chain has passed that",
          },
          {
            id: "certificate",
            severity: "warning",
            which: "ends",
            values: { days: "7" },
            cause: "the box's certificate ends in less than 7 days",
            next: "see that the box reaches its registrar and that its clock is right; it renews by itself",
          },
          {
            id: "disk",
            severity: "warning",
            which: "data",
            values: { percent: "9", mebibytes: "5120" },
            cause: "the disk with the box's data has 9 % left, 5120 MiB",
            next: "remove old backups, logs or whatever else fills it, or give the box a larger disk",
          },
          {
            id: "fan",
            severity: "warning",
            values: {},
            cause: "<script>alert(1)</script> fan 2 stands still",
            next: "replace it",
          },
        ]
      : [],
    provisioning: provisioning(state),
    keys: keys(state),
    ...(withBlocks
      ? {
          recent_blocks: Array.from({ length: RECENT }, (_, i) => chain.summary(height - i)).filter(
            (b) => b.number >= 0,
          ),
        }
      : {}),
  };
}

function stream({ state, request, response }: Context): typeof STREAMED {
  response.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-store" });
  const { chain } = state;
  let sent = chain.height;
  const send = (name: string, data: unknown) => response.write(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`);
  const blocks = setInterval(() => {
    for (const height = chain.height; sent < height;) {
      sent += 1;
      send("block", chain.summary(sent));
    }
  }, BLOCK_MS);
  const states = setInterval(() => send("status", status(state, false)), STATUS_MS);
  const end = () => {
    clearInterval(blocks);
    clearInterval(states);
    state.streams.delete(end);
    response.end();
  };
  state.streams.add(end);
  request.on("close", end);
  response.write(":\n\n");
  return STREAMED;
}

export const liveRoutes: Route[] = [
  { method: "GET", path: "/status", needs: "viewer", handle: ({ state }) => status(state, true) },
  { method: "GET", path: "/events", needs: "viewer", handle: stream },
];
