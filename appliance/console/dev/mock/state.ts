// What the mock remembers.

import { randomBytes } from "node:crypto";
import type { Api, Role } from "../../src/api/types.ts";
import { Chain } from "./chain.ts";
import { newSecret } from "./totp.ts";

export const CLAIM_CODE = "D0LM-ENBX-2026";
const IDLE_MS = 15 * 60_000;
const SESSION_MS = 12 * 3_600_000;

export interface MockUser {
  name: string;
  role: Role;
  password: string;
  oneTime: boolean;
  disabled: boolean;
  createdAt: string;
  lastLoginAt: string | null;
  language: "en" | "zh" | undefined;
  secret: string | null;
  unconfirmed: string | null;
  recoveryCodes: string[];
  passkeys: Api<"Factors">["passkeys"];
}

export interface Session {
  id: string;
  csrf: string;
  name: string;
  pending: null | "second-factor" | "password";
  expiresAt: number;
  usedAt: number;
}

export interface Options {
  /** `no` leaves the box to the first-run wizard. */
  claimed?: string;
  /** Role of the user `admin`. */
  role?: string;
  /** `no` answers as at a bare IP address. */
  passkeys?: string;
  /** `none`, or `all` for many alarms and lost peers. */
  trouble?: string;
  /** `no` for a box without these features. */
  registrar?: string;
  features?: string;
  factor?: string;
  /** `read-only` where box.toml belongs to somebody else. */
  settings?: string;
  /** `no` for a box that was set up with files. */
  provisioning?: string;
  /** `no` where the box does not run from the image. */
  image?: string;
  /** `lost` where a restart ends all sessions. */
  sessions?: string;
  /** `yes` for a box on which all that can wait for the next start does. */
  waits?: string;
}

/** How long the box is away when it restarts. */
const AWAY_MS = 1_500;

/** What a box has in place of its own with the next start. */
interface Next {
  settings: Api<"BoxSettings"> | null;
  rotated: Set<string>;
  restored: NonNullable<Api<"Backups">["restored"]> | null;
}

export const token = (bytes = 24) => randomBytes(bytes).toString("hex");
const daysAgo = (days: number) => new Date(Date.now() - days * 86_400_000).toISOString();

export class MockState {
  readonly options: Options;
  readonly chain = new Chain();
  claimed: boolean;
  readonly users = new Map<string, MockUser>();
  readonly sessions = new Map<string, Session>();
  readonly audit: Api<"AuditEntry">[] = [];
  tokens: Api<"TokenView">[] = [];
  inbox: Api<"Candidate">[];
  network: Api<"NetworkConfig"> = {
    mode: "static",
    address: "10.20.0.11/24",
    gateway: "10.20.0.1",
    dns: ["10.20.0.1"],
    ntp: ["ntp1.example"],
  };
  networkPending = false;
  settings: Api<"BoxSettings"> = { name: "alpha-1", syslog: "udp://10.20.0.5:514" };
  /** How often each key was made anew. */
  readonly rotations = new Map<string, number>();
  next: Next = { settings: null, rotated: new Set(), restored: null };
  awayUntil = 0;
  renewals = 0;
  /** Files that were put and that no manifest has named yet. */
  readonly put = new Set<string>();
  backups: Api<"BackupView">[] = [];
  readonly jobs = new Map<number, { started: number; ms: number; result: unknown }>();
  readonly streams = new Set<() => void>();
  attempts = 0;

  constructor(options: Options = {}) {
    this.options = options;
    this.claimed = options.claimed !== "no";
    if (this.claimed) {
      const admin = this.addUser("admin", (options.role ?? "security-officer") as Role, "correct horse battery");
      admin.secret = options.factor === "no" ? null : newSecret();
      admin.recoveryCodes = ["aaaa-bbbb", "cccc-dddd", "eeee-ffff"];
      this.addUser("zhang.wei", "operator", "x").secret = newSecret();
      const auditor = this.addUser("auditor", "viewer", "x");
      auditor.disabled = true;
    }
    this.inbox = [0, 1].map((index) => ({
      serial: `DLM-2026-00${71 + index}`,
      since: new Date(Date.now() - (index + 1) * 480_000).toISOString(),
      standing: "waiting",
      report: {
        voucher: index === 0,
        wants_voucher: index !== 0,
        ...(index === 0 ? { image: "0.9.3" } : { alarm: "PCR 11 matches no known release. <b>Secure Boot off</b>." }),
      },
    }));
    for (let index = 0; index < 130; index += 1) {
      const refused = index % 7 === 3;
      this.audit.push({
        seq: index + 1,
        at: new Date(Date.now() - (130 - index) * 1_800_000).toISOString(),
        who: ["admin", "zhang.wei", "token:grafana", "-"][index % 4] ?? "admin",
        from: `10.20.0.${20 + (index % 9)}`,
        action: ["login", "take-update", "create-user", "set-network", "approve-box"][index % 5] ?? "",
        target: [null, "/update", "auditor", "/network", "/inbox/DLM-2026-0063/approve"][index % 5] ?? null,
        outcome: refused ? "refused" : "done",
        ...(refused ? { code: "wrong-credentials" } : {}),
      });
    }
    this.tokens = [
      {
        id: token(4),
        name: "grafana",
        role: "viewer",
        created_at: daysAgo(40),
        expires_at: daysAgo(-50),
        last_used_at: daysAgo(0.01),
        created_by: "admin",
      },
    ];
    this.backups = [3, 2, 1].map((day) => ({
      number: 4 - day,
      kind: day === 3 ? "full" : "incremental",
      from: day === 3 ? 0 : 1_600_000 * (4 - day),
      to: 1_600_000 * (5 - day),
      created_at: daysAgo(day),
      bytes: day === 3 ? 5_800_000_000 : 412_000_000,
      recipients: ["age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"],
      files: (day === 3 ? ["blocks", "state"] : ["blocks"]).map((content) => ({
        name: `00000${4 - day}-${content}.zst.age`,
        bytes: day === 3 ? 2_900_000_000 : 412_000_000,
        sha256: token(32),
      })),
    }));
    if (options.waits === "yes") {
      this.next.settings = { name: "alpha-one", traces: "https://collector.example:4318" };
      this.rotate("tls");
      this.rotate("api");
      this.next.restored = { head: 4_799_999, hash: `0x${"5e".repeat(32)}` };
      this.networkPending = true;
    }
  }

  /** Makes another key, for the next start. */
  rotate(use: string): number {
    const times = (this.rotations.get(use) ?? 0) + 1;
    this.rotations.set(use, times);
    this.next.rotated.add(use);
    return times;
  }

  /** Goes away for a while, and comes back with what waited for it. */
  restart(): void {
    this.awayUntil = Date.now() + AWAY_MS;
    this.settings = this.next.settings ?? this.settings;
    this.next = { settings: null, rotated: new Set(), restored: null };
    if (this.options.sessions === "lost") this.sessions.clear();
    this.stop();
  }

  addUser(name: string, role: Role, password: string): MockUser {
    const user: MockUser = {
      name,
      role,
      password,
      oneTime: false,
      disabled: false,
      createdAt: daysAgo(30),
      lastLoginAt: null,
      language: undefined,
      secret: null,
      unconfirmed: null,
      recoveryCodes: [],
      passkeys: [],
    };
    this.users.set(name, user);
    return user;
  }

  open(user: MockUser, pending: Session["pending"]): Session {
    const now = Date.now();
    const session = { id: token(), csrf: token(), name: user.name, pending, expiresAt: now + SESSION_MS, usedAt: now };
    this.sessions.set(session.id, session);
    user.lastLoginAt = new Date(now).toISOString();
    return session;
  }

  /** Ends all sessions of a user, and the streams that were opened in them. */
  close(user: MockUser): void {
    for (const [id, session] of this.sessions) if (session.name === user.name) this.sessions.delete(id);
    this.stop();
  }

  session(id: string | undefined): Session | null {
    const session = this.sessions.get(id ?? "");
    if (!session || Date.now() > Math.min(session.expiresAt, session.usedAt + IDLE_MS)) return null;
    session.usedAt = Date.now();
    return session;
  }

  view(session: Session): Api<"SessionView"> {
    const user = this.users.get(session.name);
    if (!user) throw new Error("a session without a user");
    return {
      user: { name: user.name, role: user.role, ...(user.language ? { language: user.language } : {}) },
      csrf_token: session.csrf,
      pending: session.pending,
      expires_at: new Date(session.expiresAt).toISOString(),
      idle_expires_at: new Date(session.usedAt + IDLE_MS).toISOString(),
    };
  }

  record(who: string, action: string, target: string, code?: string): void {
    this.audit.push({
      seq: this.audit.length + 1,
      at: new Date().toISOString(),
      who,
      from: "127.0.0.1",
      action,
      target,
      outcome: code === undefined ? "done" : "refused",
      ...(code === undefined ? {} : { code }),
    });
  }

  job(ms: number, result: unknown): { job: number } {
    const id = this.jobs.size + 1;
    this.jobs.set(id, { started: Date.now(), ms, result });
    return { job: id };
  }

  stop(): void {
    for (const end of this.streams) end();
  }
}
