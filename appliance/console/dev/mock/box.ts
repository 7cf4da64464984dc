// The machine: hardware, keys, consortium, acceleration, network, updates, logs.

import type { Api, LogLevel } from "../../src/api/types.ts";
import { addressOf, hashOf } from "./chain.ts";
import { Answer, Refusal, STREAMED, type Context, type Route } from "./http.ts";
import type { MockState } from "./state.ts";

const GIB = 2 ** 30;
const day = (days: number) => new Date(Date.now() + days * 86_400_000).toISOString();
const hex = (name: string) => hashOf("key", name).slice(2);

/** Of the certificate of a key that was made so often. */
export const nextFingerprint = (times: number) =>
  (hashOf("tls", times).slice(2).toUpperCase().match(/../g) ?? []).join(":");

export function keys({ next, rotations, renewals }: MockState): Api<"Key">[] {
  // What waits is not what runs.
  const made = (use: string) => (rotations.get(use) ?? 0) - Number(next.rotated.has(use));
  const rotated = (use: string) => ({
    rotated: next.rotated.has(use),
    ...(use === "tls" && next.rotated.has(use) ? { next_fingerprint: nextFingerprint(rotations.get(use) ?? 0) } : {}),
  });
  return [
    {
      use: "consensus",
      uri: "tpm:owner;object=81010010",
      algorithm: "ed25519",
      in: "device",
      public_key: hex("alpha-1"),
      ...rotated("consensus"),
    },
    {
      use: "tls",
      uri: "tpm:owner;object=81010011",
      algorithm: "ecdsa-p256",
      in: "device",
      public_key: `04${hex(`tls${made("tls")}`)}${hex("tls2")}`,
      ...rotated("tls"),
      certificate: {
        subject: "CN=alpha-1.box.example, O=Alpha Bank",
        issuer: "CN=Alpha Bank Boxes CA, O=Alpha Bank",
        not_before: day(-83),
        not_after: day(renewals > 0 ? 90 : 6),
        standing: renewals > 0 ? "good" : "7-days",
      },
    },
    {
      use: "api",
      uri: "pkcs11:token=box;object=api",
      algorithm: "sm2",
      in: "device",
      public_key: `04${hex(`api${made("api")}`)}${hex("api2")}`,
      ...rotated("api"),
      certificate: {
        subject: "CN=alpha-1 API, O=Alpha Bank",
        issuer: "CN=Alpha Bank Boxes CA, O=Alpha Bank",
        not_before: day(-10),
        not_after: day(355),
        standing: "good",
      },
    },
  ];
}

function consortium(height: number): Api<"Consortium"> {
  const names = ["Alpha Bank", "Beta Logistics", "Gamma Port Authority"];
  const box = (
    name: string,
    organisation: number,
    role: "validator" | "follower",
    standing: Api<"Standing">,
    appraisal: string,
  ) => ({
    name,
    organisation: names[organisation] ?? "",
    public_key: hex(name),
    address: `10.20.0.${10 + organisation}:26656`,
    role,
    standing,
    appraisal: hex(appraisal),
    last_proposed_at: day(-0.02),
  });
  return {
    organisations: names.map((name, index) => ({
      id: index + 1,
      name,
      address: addressOf("org", name),
      boxes: index === 0 ? 2 : 1,
    })),
    boxes: [
      box("alpha-1", 0, "validator", "votes", "release 0.9.3, Secure Boot on"),
      box("alpha-2", 0, "validator", "votes", "release 0.9.3, Secure Boot on"),
      box("beta-1", 1, "validator", "votes", "release 0.9.2, Secure Boot on"),
      box("gamma-1", 2, "validator", "stands-by", "no quote since the box joined"),
    ],
    more_boxes: false,
    epoch: 42,
    validators: ["alpha-1", "alpha-2", "beta-1", "gamma-1"],
    next_epoch: [],
    proposals: [
      {
        id: 17,
        kind: "add-box",
        text: "Admit box beta-2 of Beta Logistics as a validator",
        proposer: "Beta Logistics",
        opened_at: day(-2),
        expires_at: day(5),
        needed: 2,
        votes: [{ organisation: "Beta Logistics", approve: true }],
        state: "open",
      },
      {
        id: 16,
        kind: "parameters",
        text: "Set the gas limit to 30,000,000",
        proposer: "Alpha Bank",
        opened_at: day(-12),
        expires_at: day(-5),
        decided_at_height: height - 700_000,
        votes: [
          { organisation: "Alpha Bank", approve: true },
          { organisation: "Beta Logistics", approve: true },
          { organisation: "Gamma Port Authority", approve: false },
        ],
        state: "executed",
      },
    ],
    policy: {
      "add-box": { needed: 2, own: false, lifetime_s: 604_800, text: "2 of 3 organisations, within 7 days" },
      parameters: { needed: 2, own: false, lifetime_s: 604_800, text: "2 of 3 organisations, within 7 days" },
    },
  };
}

const BACKENDS = [
  {
    name: "cpu",
    algorithms: ["ed25519", "secp256k1", "p256", "sm2", "keccak256", "sm3"],
    state: "available",
    why: "AVX-512 IFMA",
  },
  { name: "cuda", algorithms: ["ed25519", "secp256k1", "sm2"], state: "selected", why: "1 device" },
  { name: "fpga", algorithms: ["secp256k1"], state: "unavailable", why: "no card answers on PCIe" },
];

function benchmark(): Api<"BenchmarkResult"> {
  const points = ["ed25519", "ecdsa-secp256k1"].flatMap((algorithm, a) =>
    ["cpu", "cpu-portable", "off"].flatMap((backend, b) =>
      [64, 1024, 4096].map((batch, i) => {
        const rate = (9_000 + a * 2_500) * ([6 + i, 2, 1][b] ?? 1);
        const took = (1e6 * batch) / rate;
        return {
          algorithm,
          backend,
          batch,
          verifications_per_s: rate,
          verifications_per_cpu_s: rate,
          p50_us: took,
          p99_us: took * 1.2,
        };
      }),
    ),
  );
  return { profile: "release", keys: 64, points };
}

const LEVELS: LogLevel[] = ["error", "warn", "info", "debug", "trace"];

function logs(level: LogLevel, limit: number): Api<"LogPart"> {
  const messages: [LogLevel, string, string, Record<string, string>][] = [
    ["info", "dolmen_node::commit", "block committed", { height: "1728400", elapsed_us: "812" }],
    ["warn", "dolmen_net::peer", "peer is silent", { peer: "gamma-1", silent_ms: "4100" }],
    ["info", "dolmen_rpc", "<img src=x onerror=alert(1)>", { method: "eth_call" }],
    ["error", "dolmen_update", "the bundle was refused", { reason: "its signature is not of a release key" }],
    ["debug", "dolmen_pool", "transactions admitted", { count: "250" }],
  ];
  const all = Array.from({ length: 300 }, (_, i) => {
    const [lineLevel, target, message, fields] = messages[i % messages.length] ?? ["info", "", "", {}];
    return { seq: i + 1, at_ms: Date.now() - (300 - i) * 900, level: lineLevel, target, message, fields };
  });
  const lines = all.filter((line) => LEVELS.indexOf(line.level) <= LEVELS.indexOf(level)).slice(-limit);
  return { lines, next: 300, first: 1 };
}

/** Refuses what a box without the feature has not. */
export function present({ state }: Context): void {
  if (state.options.features === "no") {
    throw new Refusal(404, "not-here", "this box is not one of the image", {
      next: "update its program as you installed it",
    });
  }
}

export const boxRoutes: Route[] = [
  {
    method: "GET",
    path: "/system",
    needs: "viewer",
    handle: ({ state }) => ({
      disk: {
        total_bytes: 960 * GIB,
        free_bytes: (state.options.trouble === "all" ? 84 : 702) * GIB,
      },
      memory: { total_bytes: 128 * GIB, available_bytes: 91 * GIB, process_bytes: 14 * GIB },
      load: [3.2, 2.9, 2.7],
      cpus: 32,
      temperatures: [
        { name: "CPU package", celsius: state.options.trouble === "all" ? 91 : 58.5 },
        { name: "NVMe", celsius: 44 },
      ],
      tpm: { tcti: "device:/dev/tpmrm0" },
      image: state.options.features === "no" ? null : { version: "0.9.3" },
      machine_uptime_s: 3 * 86_400,
    }),
  },
  { method: "GET", path: "/keys", needs: "viewer", handle: ({ state }) => keys(state) },
  { method: "GET", path: "/consortium", needs: "viewer", handle: ({ state }) => consortium(state.chain.height) },
  {
    method: "GET",
    path: "/acceleration",
    needs: "viewer",
    handle: () => ({ backends: BACKENDS, selected: "cuda", self_test: { at: day(-3), passed: true } }),
  },
  {
    method: "POST",
    path: "/acceleration/benchmark",
    needs: "operator",
    handle: ({ state }) => new Answer(202, state.job(4_000, benchmark())),
  },
  {
    method: "GET",
    path: "/jobs/*",
    needs: "viewer",
    handle: ({ state, params }) => {
      const job = state.jobs.get(Number(params[0]));
      if (!job) throw new Refusal(404, "unknown-job", "there is no such job");
      const progress = Math.min(1, (Date.now() - job.started) / job.ms);
      return progress < 1 ? { state: "running", progress } : { state: "done", progress: 1, result: job.result };
    },
  },
  {
    method: "GET",
    path: "/network",
    needs: "viewer",
    handle: ({ state }) => ({
      interfaces: [
        {
          name: "eth0",
          mac: "3c:ec:ef:10:22:01",
          up: true,
          speed_mbps: 25_000,
          addresses: ["10.20.0.11/24", "fe80::3eec:efff:fe10:2201/64"],
          wired: true,
        },
        { name: "eth1", mac: "3c:ec:ef:10:22:02", up: false, addresses: [], wired: true },
      ],
      ...(state.options.image === "no" ? {} : { config: state.network }),
      pending: state.networkPending,
      other_files: [],
      tier: "af_xdp",
      tier_why: "the driver mlx5_core supports zero copy",
    }),
  },
  {
    method: "PUT",
    path: "/network",
    needs: "security-officer",
    handle: ({ state, body }) => {
      state.network = body as unknown as Api<"NetworkConfig">;
      state.networkPending = true;
      return state.network;
    },
  },
  {
    method: "GET",
    path: "/update",
    needs: "viewer",
    handle: (context) => {
      present(context);
      return {
        running: "0.9.3",
        tries_left: null,
        other: "0.9.2",
        other_tries_left: null,
        refused: null,
        receiving: false,
        waiting: false,
      };
    },
  },
  {
    method: "POST",
    path: "/update",
    needs: "operator",
    handle: ({ body }) => {
      if (typeof body.url === "string" && !body.url.startsWith("https://")) {
        throw new Refusal(422, "bad-bundle", "the bundle cannot be fetched: the address is not https");
      }
      return new Answer(202, { version: "0.9.4" });
    },
  },
  { method: "POST", path: "/update/rollback", needs: "operator", handle: () => new Answer(202) },
  {
    method: "GET",
    path: "/logs",
    needs: "operator",
    handle: ({ query }) => logs((query.get("level") ?? "info") as LogLevel, Number(query.get("limit") ?? 200)),
  },
  {
    method: "POST",
    path: "/support-bundle",
    needs: "operator",
    handle: ({ response }) => {
      response.writeHead(200, { "Content-Type": "application/zstd" });
      response.end(Buffer.alloc(2_000, 7));
      return STREAMED;
    },
  },
];
