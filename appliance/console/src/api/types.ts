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
    organisations: { name: string; address: string; boxes: number }[];
    boxes: {
      name: string;
      organisation: string;
      public_key: string;
      address: string;
      role: "validator" | "follower";
      standing: string;
      attested_at?: Time | null;
      appraisal?: string | null;
    }[];
    validators: { name: string; public_key: string; fee_recipient?: string }[];
    proposals: {
      id: string;
      kind: string;
      text: string;
      proposer: string;
      opened_at_height: number;
      expires_at_height: number;
      votes: { organisation: string; approve: boolean }[];
      state: string;
    }[];
    policy: Record<string, string | number | boolean | null>;
  };
  InboxEntry: { serial: string; since: Time; subject: string; ek: string; standing: string; report: string };

  Acceleration: {
    backends: { name: string; algorithms: string[]; state: string; why?: string | null }[];
    selected: string;
    self_test: { at: Time; passed: boolean } | null;
  };
  /** One line of a benchmark: a backend's rate beside that of the baseline in the same run. */
  BenchmarkRow: {
    operation: string;
    backend: string;
    batch: number;
    per_second: number;
    baseline_per_second: number;
    errors: number;
  };
  BenchmarkResult: { at: Time; hardware: string; baseline: string; rows: Schemas["BenchmarkRow"][] };
  JobStarted: { job: string };
  Job: { state: "running" | "done" | "failed"; progress: number; result?: unknown; error?: Schemas["Problem"] };

  NetworkConfig: { mode: "dhcp" | "static"; address?: string; gateway?: string; dns?: string[] };
  Network: {
    interfaces: { name: string; mac: string; up: boolean; speed_mbps?: number | null; addresses: string[] }[];
    config: Schemas["NetworkConfig"];
    tier: string;
    tier_why: string;
  };
  Update: {
    running: string;
    tries_left: number | null;
    other: string | null;
    other_tries_left: number | null;
    refused: string | null;
  };
  UpdateTaken: { version: string };
  Backup: {
    id: string;
    at: Time;
    kind: "full" | "incremental";
    from: number;
    to: number;
    bytes: number;
    recipients: number;
  };
  Backups: { directory: string; recipients: string[]; backups: Schemas["Backup"][] };
  LogEntry: { at: Time; level: LogLevel; target: string; message: string; fields?: Record<string, unknown> };
  Logs: { entries: Schemas["LogEntry"][] };
}

export type LogLevel = "error" | "warn" | "info" | "debug";

export interface components {
  schemas: Schemas;
}

/** A schema by its name. */
export type Api<Name extends keyof Schemas> = components["schemas"][Name];
