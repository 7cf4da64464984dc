// What the page knows of the box, and what follows from it: the blocks and figures received, rates, chart series and
// the health verdict. No DOM and no network.

import { list, rate, span, t, whole } from "./i18n.js";

export const CHART_BARS = 60;
const STALL_MS = 4000; // well beyond any view change, so a failed leader alone does not raise an alarm
const STALL_NO_QUORUM_MS = 1500;
const BLOCKS_KEPT = 256;
const RATE_SECONDS = 10;
const NAMES_MAX = 5;
const ALARMS = ["votes_failing", "votes_fenced"]; // those that the page has its own words for

export const state = {
  status: null,
  statusAt: 0,
  blocks: new Map(), // number -> block, the newest BLOCKS_KEPT
  newest: -1,
  seconds: new Map(), // second of the box's clock -> { blocks, transactions, gas }
  ratesFrom: Infinity, // first second seen in full
  clockOffset: null, // box clock minus this computer's clock, ms
  conn: { phase: "connecting", attempt: 0, retryAt: 0, eventAt: 0, why: null },
  table: { paused: false, pointer: false, touchUntil: 0 },
};

/** Takes in a finalized block, in any order and any number of times. */
export function takeBlock(block) {
  if (!Number.isSafeInteger(block?.number) || state.blocks.has(block.number)) return;
  if (block.number <= state.newest - BLOCKS_KEPT) return;
  const second = Math.floor(block.timestamp_ms / 1000);
  if (block.number > state.newest + 1) {
    // Blocks are missing in between (or this is the first): seconds before this one cannot be counted in full.
    state.seconds.clear();
    state.ratesFrom = second + 1;
  }
  state.newest = Math.max(state.newest, block.number);
  state.blocks.set(block.number, block);
  if (state.blocks.size > BLOCKS_KEPT) {
    for (const n of state.blocks.keys()) if (n <= state.newest - BLOCKS_KEPT) state.blocks.delete(n);
  }
  const sum = state.seconds.get(second) ?? { blocks: 0, transactions: 0, gas: 0 };
  sum.blocks += 1;
  sum.transactions += block.transactions;
  sum.gas += block.gas_used;
  state.seconds.set(second, sum);
  for (const s of state.seconds.keys()) if (s < second - CHART_BARS - RATE_SECONDS) state.seconds.delete(s);
}

/** The objects in `values`, with `names` of their fields as strings, empty where they are none. */
function records(values, names) {
  const string = (value) => (typeof value === "string" ? value : "");
  return (Array.isArray(values) ? values : []).filter((value) => value !== null && typeof value === "object")
    .map((value) => ({ ...value, ...Object.fromEntries(names.map((name) => [name, string(value[name])])) }));
}

/** Takes in the box's status, with its recent blocks where it has them; throws where it is not one. */
export function takeStatus(status) {
  if (!Array.isArray(status?.peers) || !Number.isSafeInteger(status.height)) throw new TypeError("not a status");
  if (state.status && state.status.genesis_hash !== status.genesis_hash) {
    Object.assign(state, { blocks: new Map(), seconds: new Map(), newest: -1, ratesFrom: Infinity, clockOffset: null });
  }
  // Oldest first, so that a run of blocks counts as unbroken.
  for (const block of (status.recent_blocks ?? []).slice().reverse()) takeBlock(block);
  // A box that is no validator has no name here.
  for (const peer of status.peers) peer.name ||= `${String(peer.public_key).slice(0, 8)}…`;
  const { recent_blocks: _, ...rest } = status;
  rest.alarms = records(status.alarms, ["id", "cause", "next"]);
  rest.keys = records(status.keys, ["use", "uri", "algorithm", "in", "public_key"]);
  state.status = rest;
  state.statusAt = Date.now();
  const head = state.blocks.get(status.height);
  if (!head) return;
  const offset = head.timestamp_ms + status.head_age_ms - state.statusAt;
  // Smoothed: the head's age and its timestamp come from different boxes and differ by some milliseconds.
  state.clockOffset = state.clockOffset === null ? offset : state.clockOffset + 0.2 * (offset - state.clockOffset);
}

/** The box's clock; it stands still while the box cannot be heard, so that rates are not read as zero. */
export function boxNow(atLastEvent = false) {
  return (atLastEvent ? state.conn.eventAt : Date.now()) + (state.clockOffset ?? 0);
}

/** Milliseconds since the newest finalized block, at this computer's time `now`. */
export function headAge(now = Date.now()) {
  const { height, head_age_ms } = state.status;
  if (state.newest <= height || state.clockOffset === null) return head_age_ms + now - state.statusAt;
  return Math.max(0, now + state.clockOffset - state.blocks.get(state.newest).timestamp_ms);
}

/** Sums over the last `RATE_SECONDS` full seconds, per second; null while no full second was seen. */
export function rates() {
  const end = Math.floor(boxNow(state.conn.phase !== "live") / 1000);
  const begin = Math.max(end - RATE_SECONDS, state.ratesFrom);
  if (!(end > begin)) return null;
  const total = { blocks: 0, transactions: 0, gas: 0 };
  for (let s = begin; s < end; s += 1) {
    const sum = state.seconds.get(s);
    if (sum) for (const key of Object.keys(total)) total[key] += sum[key];
  }
  for (const key of Object.keys(total)) total[key] /= end - begin;
  return total;
}

/** Time to finality of the newest `CHART_BARS` blocks in ms, oldest first; null for a block not received. */
export function finalitySeries() {
  const finality = [];
  for (let n = Math.max(0, state.newest - CHART_BARS + 1); n <= state.newest; n += 1) {
    finality.push(state.blocks.get(n)?.finality_ms ?? null);
  }
  return finality;
}

/** Transactions in each of the last `CHART_BARS` full seconds, oldest first; null for a second not seen in full. */
export function transactionSeries() {
  const end = Math.floor(boxNow(state.conn.phase !== "live") / 1000);
  const tps = [];
  for (let s = end - CHART_BARS; s < end; s += 1) {
    tps.push(s < state.ratesFrom ? null : state.seconds.get(s)?.transactions ?? 0);
  }
  return tps;
}

/** The least round number (a step times a power of ten) that is not below `value`. */
export function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 1.5, 2, 3, 4, 5, 6, 8, 10].map((step) => step * power).find((step) => step >= value * 0.999);
}

/** What the figures mean: a level, a key of the texts `<key>_title`, `_cause`, `_next`, and their values. */
function assess(now) {
  const s = state.status;
  const down = s.peers.filter((peer) => !peer.connected);
  const up = s.peers.length - down.length;
  const votes = s.role === "validator";
  const names = down.slice(0, NAMES_MAX).map((peer) => `${peer.name} (${peer.address})`);
  if (down.length > NAMES_MAX) names.push(`+${whole(down.length - NAMES_MAX)}`);
  // Followers carry blocks but have no vote.
  const reachable = s.peers.filter((peer) => peer.connected && peer.role === "validator").length + (votes ? 1 : 0);
  const age = headAge(now);
  const values = {
    names: list(names), down: whole(down.length), all: whole(s.peers.length), reachable: whole(reachable),
    validators: whole(s.validators), quorum: whole(s.quorum), spare: whole(s.validators - s.quorum),
    height: whole(Math.max(s.height, state.newest)), rate: rate(rates()?.blocks), age: span(age, true),
  };
  const verdict = (level, key) => ({ level, key, values });
  if (s.syncing) return up > 0 ? verdict("info", "syncing") : verdict("bad", "syncing_alone");
  if (votes && reachable < s.quorum && age > STALL_NO_QUORUM_MS) return verdict("bad", "no_quorum");
  if (!votes && up === 0 && age > STALL_MS) return verdict("bad", "cut_off");
  if (age > STALL_MS) return verdict("bad", "stalled");
  if (votes && down.length > 0 && reachable <= s.quorum) return verdict("warn", "no_spare");
  if (down.length > 0) return verdict("warn", "peer_down");
  return verdict("ok", votes ? "ok" : "ok_follower");
}

/** An alarm of the box as a verdict; one without words of the page's own shows those of the box. */
function alarmVerdict({ id, cause, next, until_view }) {
  if (!ALARMS.includes(id)) {
    const detail = [id, cause].filter(Boolean).join(": ");
    return { level: "warn", key: "alarm", alarm: id, values: { detail, next } };
  }
  const values = { detail: cause.replace(/[.\s]+$/, "") || undefined, view: whole(until_view) };
  return { level: "bad", key: id, alarm: id, values };
}

/** All verdicts, the first the worst: no vote of this box is worse than all but a chain that does not go on. */
function assessAll(now) {
  const chain = assess(now);
  const alarms = state.status.alarms.map(alarmVerdict);
  alarms.sort((a, b) => (a.level === "bad" ? 0 : 1) - (b.level === "bad" ? 0 : 1));
  if (chain.level === "bad") return [chain, ...alarms];
  return chain.level === "ok" && alarms.length > 0 ? alarms : [...alarms, chain];
}

/**
 * What the page says of the box at this moment: the health of what it hears, or why it hears nothing. `more` is what
 * else is to be said.
 */
export function verdictNow() {
  const { phase, retryAt, why, eventAt } = state.conn;
  if (phase === "live") {
    const [worst, ...more] = assessAll(Date.now());
    return { ...worst, more };
  }
  if (phase === "connecting") return { level: "info", key: "connecting", values: {}, more: [] };
  const wait = retryAt - Date.now();
  const values = {
    why: t(why.key, why.values?.()), retry: wait > 0 ? t("retry_in", { wait: span(wait + 999, true) }) : t("retry_now"),
    advice: t(why.answering ? "advice_answering" : "advice_unreachable"),
  };
  if (!state.status) return { level: "bad", key: why.answering ? "no_status" : "unreachable", values, more: [] };
  const all = assessAll(eventAt);
  values.age = span(Date.now() - eventAt, true);
  values.last = t(`${all[0].key}_title`, all[0].values);
  return { level: "bad", key: "stale", values, more: all.filter((verdict) => verdict.alarm !== undefined) };
}
