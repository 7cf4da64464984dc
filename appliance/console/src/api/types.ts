// The box's administration interface, version 1, as JSON types. Hand-written from the contract, in the shape that a
// generator gives (`components["schemas"][NAME]`), so that its output can take this file's place.

type Hex = `0x${string}`;
/** RFC 3339, UTC. */
type Time = string;

export type Role = "viewer" | "operator" | "security-officer";
export type Language = "en" | "zh";

interface Schemas {
  /** RFC 9457. */
  Problem: {
    type?: string;
    title?: string;
    status: number;
    detail?: string;
    code: string;
    next?: string;
    retry_after_s?: number;
  };
  Box: { name: string; version: string; claimed: boolean; host_names: string[]; passkeys: boolean };
  Session: {
    user: { name: string; role: Role; language?: Language };
    csrf_token: string;
    pending: null | "second-factor" | "password";
    expires_at: Time;
    idle_expires_at: Time;
  };
  Factors: {
    totp: boolean;
    passkeys: { id: string; name: string; created_at: Time; last_used_at?: Time | null }[];
    recovery_codes_left: number;
  };
  /** The page draws the QR code itself and takes no markup, so `qr_svg` is for others. */
  TotpStart: { secret_base32: string; otpauth_uri: string; qr_svg: string };
  Recovered: { password_reset: boolean };
  RecoveryCodes: { recovery_codes: string[] };
  PasskeyRequest: { request_id: string; publicKey: PublicKeyCredentialRequestOptionsJSON };
  PasskeyCreation: { request_id: string; publicKey: PublicKeyCredentialCreationOptionsJSON };

  User: {
    name: string;
    role: Role;
    disabled: boolean;
    created_at: Time;
    last_login_at?: Time | null;
    totp: boolean;
    passkeys: number;
  };
  UserWithPassword: Schemas["User"] & { one_time_password?: string };
  NewUser: { name: string; one_time_password: string };
  Token: {
    id: string;
    name: string;
    role: Role;
    created_at: Time;
    expires_at: Time;
    last_used_at?: Time | null;
    created_by: string;
  };
  NewToken: { id: string; token: string };
  AuditEntry: {
    seq: number;
    at: Time;
    who: string;
    from: string;
    action: string;
    target: string | null;
    outcome: "done" | "refused";
    /** A refusal's code. */
    code?: string;
    detail?: string;
  };
  AuditPage: { entries: Schemas["AuditEntry"][]; more: boolean };

  BlockSummary: {
    number: number;
    hash: Hex;
    timestamp_ms: number;
    transactions: number;
    gas_used: number;
    gas_limit: number;
    size: number;
    proposer: string;
    /** From proposal to this box's durable commit; none for a block that was fetched later. */
    finality_ms: number | null;
  };
  Peer: {
    name: string;
    public_key: string;
    address: string;
    connected: boolean;
    role: "validator" | "follower";
    height: number;
  };
  Alarm: {
    id: string;
    severity: "critical" | "warning";
    cause: string;
    next: string;
    since?: Time;
    until_view?: number;
  };
  Key: {
    use: string;
    uri: string;
    algorithm: string;
    in: string;
    public_key: string;
    certificate?: {
      subject: string;
      issuer: string;
      not_before: Time;
      not_after: Time;
      /** `good`, `due`, `30-days`, `7-days`, `1-day`, `expired` or `clock-behind`. */
      standing: string;
    };
  };
  Status: {
    name: string;
    version: string;
    chain_id: number;
    genesis_hash: Hex;
    role: "validator" | "follower";
    height: number;
    head_hash: Hex;
    head_age_ms: number;
    syncing: boolean;
    peers: Schemas["Peer"][];
    epoch: number;
    validators: number;
    quorum: number;
    finality_ms: { p50: number | null; p99: number | null; samples: number };
    pool: { pending: number; queued: number; bytes: number };
    uptime_s: number;
    rpc_url: string;
    alarms: Schemas["Alarm"][];
    keys: Schemas["Key"][];
    /** Absent in events. */
    recent_blocks?: Schemas["BlockSummary"][];
  };
  System: {
    disk: { total_bytes: number; free_bytes: number };
    memory: { total_bytes: number; available_bytes: number; process_bytes: number };
    load: [number, number, number];
    cpus: number;
    temperatures: { name: string; celsius: number }[];
    /** None where the box runs without one. */
    tpm: { tcti: string } | null;
    /** None where the box runs on another system. */
    image: { version: string } | null;
    machine_uptime_s: number;
  };
  Consortium: {
    organisations: { id: number; name: string; address: string; boxes: number }[];
    /** With those that are retired. */
    boxes: {
      name: string;
      organisation: string | null;
      public_key: string;
      address: string | null;
      /** From the next epoch on: `validator`, `follower` or `retired`. */
      role: string;
      /** Now: `votes`, `leaves`, `joins`, `stands-by`, `follows` or `retired`. */
      standing: string;
      /** Hash of the appraisal with which its organisation had it admitted. */
      appraisal?: string;
      last_proposed_at?: Time;
    }[];
    more_boxes: boolean;
    epoch: number;
    /** Their names. */
    validators: string[];
    next_epoch: string[];
    proposals: {
      id: number;
      kind: string | null;
      /** What it changes, as it follows "to". */
      text: string;
      proposer: string;
      opened_at: Time;
      expires_at: Time;
      votes: { organisation: string; approve: boolean }[];
      needed?: number;
      state: string | null;
      decided_at_height?: number;
    }[];
    policy: Record<string, { needed: number; own: boolean; lifetime_s: number; text: string }>;
  };
  InboxEntry: {
    serial: string;
    since: Time;
    /** `waiting`, `approved`, `declined`, `revoked` or `replaced`. */
    standing: string;
    reason?: string;
    report: {
      voucher: boolean;
      wants_voucher: boolean;
      image?: string;
      judged_at?: Time;
      certificate_until?: string;
      chain?: string;
      alarm?: string;
    };
  };

  Acceleration: {
    /** `selected`, `available` or `unavailable`. */
    backends: { name: string; algorithms: string[]; state: string; why: string }[];
    selected: string;
    self_test: { at: Time; passed: boolean } | null;
  };
  /** A point of a benchmark, measured on one core. */
  BenchmarkPoint: {
    algorithm: string;
    backend: string;
    batch: number;
    verifications_per_s: number;
    verifications_per_cpu_s: number;
    p50_us: number;
    p99_us: number;
  };
  /** `profile`: `release`, or `debug`, whose figures say nothing about speed. */
  BenchmarkResult: { profile: string; keys: number; points: Schemas["BenchmarkPoint"][] };
  JobStarted: { job: number };
  Job: {
    id: number;
    kind: string;
    state: "running" | "done" | "failed";
    progress: number;
    started_at: Time;
    ended_at?: Time;
    result?: unknown;
    error?: string;
  };

  NetworkConfig: {
    mode: "dhcp" | "static";
    /** May be left out where the box has one. */
    interface?: string;
    address?: string;
    gateway?: string;
    dns?: string[];
  };
  Network: {
    interfaces: {
      name: string;
      mac: string;
      up: boolean;
      speed_mbps?: number;
      addresses: string[];
      wired: boolean;
    }[];
    /** None where the box does not run from the image. */
    config?: Schemas["NetworkConfig"];
    /** Whether that is in effect with the next start alone. */
    pending: boolean;
    other_files: string[];
    tier: string;
    tier_why: string;
  };
  Update: {
    running: string;
    tries_left: number | null;
    other: string | null;
    other_tries_left: number | null;
    refused: string | null;
    receiving: boolean;
    waiting: boolean;
  };
  UpdateTaken: { version: string };
  Backup: {
    number: number;
    kind: "full" | "incremental";
    from: number;
    to: number;
    created_at: Time;
    bytes: number;
    recipients: string[];
    files: { name: string; bytes: number }[];
  };
  Backups: { directory: string; backups: Schemas["Backup"][]; more: boolean };
  LogLine: {
    seq: number;
    at_ms: number;
    level: LogLevel;
    target: string;
    message: string;
    fields: Record<string, string>;
  };
  /** The latest line is the last one. */
  Logs: { lines: Schemas["LogLine"][]; next: number; first: number };
}

export type LogLevel = "error" | "warn" | "info" | "debug" | "trace";

export interface components {
  schemas: Schemas;
}

/** A schema by its name. */
export type Api<Name extends keyof Schemas> = components["schemas"][Name];
