// One data path: box -> event stream -> state -> render. Events only change `state`; drawing happens at most
// every RENDER_MS, because a box may finalize 50 blocks a second and nobody reads faster than that.

import {
  applyStaticText, compact, dateTime, language, latency, list, percent, rate, setLanguage, size, span, t, whole,
} from "./i18n.js";

const RENDER_MS = 250;
const RENDER_HIDDEN_MS = 2000;
const STATUS_TIMEOUT_MS = 5000;
const SILENCE_MS = 7000; // three status events (one every 2 s) missed: the stream is dead even if still open
const RETRY_FIRST_MS = 1000;
const RETRY_MAX_MS = 15000;
const STALL_MS = 4000; // well beyond any view change, so a failed leader alone does not raise an alarm
const STALL_NO_QUORUM_MS = 1500;
const BLOCKS_KEPT = 256;
const ROWS = 25;
const CHART_BARS = 60;
const RATE_SECONDS = 10;
const NAMES_MAX = 5;
const FRESH_ROWS_MAX = 2; // highlight single arrivals; at high block rates it would only flicker
const TOUCH_HOLD_MS = 4000;
const ZERO_BAR = 0.02; // height of a measured zero, so that it differs from "no data"

const $ = (id) => document.getElementById(id);

const state = {
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

// ---- State ----

function takeBlock(block) {
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

function takeStatus(status) {
  if (!Array.isArray(status?.peers) || !Number.isSafeInteger(status.height)) throw new TypeError("not a status");
  if (state.status && state.status.genesis_hash !== status.genesis_hash) {
    Object.assign(state, { blocks: new Map(), seconds: new Map(), newest: -1, ratesFrom: Infinity, clockOffset: null });
  }
  // Oldest first, so that a run of blocks counts as unbroken.
  for (const block of (status.recent_blocks ?? []).slice().reverse()) takeBlock(block);
  const { recent_blocks: _, ...rest } = status;
  state.status = rest;
  state.statusAt = Date.now();
  const head = state.blocks.get(status.height);
  if (!head) return;
  const offset = head.timestamp_ms + status.head_age_ms - state.statusAt;
  // Smoothed: the head's age and its timestamp come from different boxes and differ by some milliseconds.
  state.clockOffset = state.clockOffset === null ? offset : state.clockOffset + 0.2 * (offset - state.clockOffset);
}

/** The box's clock; it stands still while the box cannot be heard, so that rates are not read as zero. */
function boxNow(atLastEvent = false) {
  return (atLastEvent ? state.conn.eventAt : Date.now()) + (state.clockOffset ?? 0);
}

/** Milliseconds since the newest finalized block, at this computer's time `now`. */
function headAge(now = Date.now()) {
  const { height, head_age_ms } = state.status;
  if (state.newest <= height || state.clockOffset === null) return head_age_ms + now - state.statusAt;
  return Math.max(0, now + state.clockOffset - state.blocks.get(state.newest).timestamp_ms);
}

/** Sums over the last `RATE_SECONDS` full seconds, per second; null while no full second was seen. */
function rates() {
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

/** What the figures mean: a level, a key of the texts `<key>_title`, `_cause`, `_next`, and their values. */
function assess(now) {
  const s = state.status;
  const down = s.peers.filter((peer) => !peer.connected);
  const up = s.peers.length - down.length;
  const votes = s.role === "validator";
  const names = down.slice(0, NAMES_MAX).map((peer) => `${peer.name} (${peer.address})`);
  if (down.length > NAMES_MAX) names.push(`+${whole(down.length - NAMES_MAX)}`);
  const reachable = Math.min(s.validators, up + (votes ? 1 : 0));
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

function verdictNow() {
  const { phase, retryAt, why, eventAt } = state.conn;
  if (phase === "live") return assess(Date.now());
  if (phase === "connecting") return { level: "info", key: "connecting", values: {} };
  const wait = retryAt - Date.now();
  const values = {
    why: t(why.key, why.values?.()), retry: wait > 0 ? t("retry_in", { wait: span(wait + 999, true) }) : t("retry_now"),
    advice: t(why.answering ? "advice_answering" : "advice_unreachable"),
  };
  if (!state.status) return { level: "bad", key: why.answering ? "no_status" : "unreachable", values };
  const last = assess(eventAt);
  values.age = span(Date.now() - eventAt, true);
  values.last = t(`${last.key}_title`, last.values);
  return { level: "bad", key: "stale", values };
}

// ---- Connection ----

let source = null;
let openedAt = 0;
let retryTimer = 0;

function connect() {
  clearTimeout(retryTimer);
  state.conn.retryAt = 0;
  source?.close();
  const own = new EventSource("/api/events");
  source = own;
  const heard = (handle) => (event) => {
    if (source !== own) return;
    state.conn.eventAt = Date.now();
    try {
      handle(event.data ? JSON.parse(event.data) : null);
    } catch {
      lose({ key: "why_event", answering: true });
    }
    schedule();
  };
  // The status is read after the stream is open: a block finalized in between then arrives twice, never not at all.
  own.addEventListener("open", () => refresh(own));
  own.addEventListener("block", heard(takeBlock));
  own.addEventListener("status", heard((status) => state.status && takeStatus(status)));
  own.addEventListener("lagged", heard(() => refresh(own)));
  own.addEventListener("error", () => source === own && lose({ key: "why_stream" }));
  openedAt = Date.now();
}

async function refresh(own) {
  let why = { key: "why_fetch", values: () => ({ age: span(STATUS_TIMEOUT_MS, true) }) };
  try {
    const response = await fetch("/api/status", { cache: "no-store", signal: AbortSignal.timeout(STATUS_TIMEOUT_MS) });
    why = { key: "why_format", answering: true };
    if (!response.ok) {
      why = { key: "why_http", answering: true, values: () => ({ status: response.status }) };
      throw new Error("status");
    }
    const status = await response.json();
    if (source !== own) return;
    takeStatus(status);
    state.conn = { phase: "live", attempt: 0, retryAt: 0, eventAt: Date.now(), why: null };
    schedule();
  } catch {
    if (source === own) lose(why);
  }
}

/** Closes the stream and plans the next try: doubling waits up to RETRY_MAX_MS, with jitter against stampedes. */
function lose(why) {
  source?.close();
  source = null;
  clearTimeout(retryTimer);
  const { attempt, eventAt } = state.conn;
  const wait = Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** attempt) * (0.8 + 0.4 * Math.random());
  state.conn = { phase: "lost", attempt: Math.min(attempt + 1, 10), retryAt: Date.now() + wait, eventAt, why };
  retryTimer = setTimeout(connect, wait);
  schedule();
}

function watch() {
  const silent = Date.now() - Math.max(state.conn.eventAt, openedAt);
  if (source && silent > SILENCE_MS) lose({ key: "why_silent", values: () => ({ age: span(SILENCE_MS, true) }) });
}

// ---- Drawing ----

function text(node, value) {
  if (node.textContent !== value) node.textContent = value;
}

function attribute(node, name, value) {
  if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

function element(tag, className, content) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (content !== undefined) node.textContent = content;
  return node;
}

function svg(tag, attributes = {}) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

/** A hash or key as its two ends; anything else whole. */
const shorten = (value) => value.replace(/^((?:0x)?[0-9a-f]{6})[0-9a-f]+([0-9a-f]{6})$/i, "$1…$2");

/** A value in short form with a button that copies all of it. */
function copyable(value, what) {
  const box = element("span", "copyable");
  const code = element("code", "", shorten(value));
  code.title = value;
  const button = element("button", "copy");
  button.type = "button";
  button.setAttribute("aria-label", t("copy", { what }));
  const icon = svg("svg", { "aria-hidden": "true" });
  icon.append(svg("use", { href: "#icon-copy" }));
  button.append(icon);
  button.addEventListener("click", async () => {
    const done = await copyText(value);
    announce(t(done ? "copied" : "copy_failed"));
    if (!done) return;
    icon.firstChild.setAttribute("href", "#icon-done");
    setTimeout(() => icon.firstChild.setAttribute("href", "#icon-copy"), 1500);
  });
  box.append(code, button);
  return box;
}

async function copyText(value) {
  try {
    await navigator.clipboard.writeText(value);
    return true;
  } catch {
    // No clipboard API on a page served over plain HTTP: the older command still works there.
    const area = element("textarea", "hidden");
    area.value = value;
    const focused = document.activeElement;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    focused?.focus();
    return done;
  }
}

function announce(message) {
  text($("announce"), message);
}

let announced = "";

function drawHealth() {
  const { level, key, values } = verdictNow();
  const title = t(`${key}_title`, values);
  attribute($("health"), "data-level", level);
  attribute($("health-icon"), "href", `#icon-${level}`);
  text($("health-title"), title);
  for (const part of ["cause", "next"]) {
    text($(`health-${part}`), t(`${key}_${part}`, values));
    $(`health-${part}`).hidden = t(`${key}_${part}`) === "";
  }
  const { phase } = state.conn;
  $("retry").hidden = phase !== "lost";
  attribute(document.body, "data-conn", phase);
  text($("connection-text"), t(phase));
  document.title = `${state.status ? `${state.status.name}: ` : ""}${title} · Dolmen`;
  // Spoken once per change of state; the seconds that count up in the title are not repeated.
  if (announced !== key) announce(title);
  announced = key;
}

function drawFigures() {
  const s = state.status;
  const speed = rates();
  const height = Math.max(s.height, state.newest);
  const head = state.blocks.get(state.newest);
  text($("height"), whole(height));
  text($("head-age"), t("ago", { age: span(headAge()) }));
  text($("block-rate"), rate(speed?.blocks));
  text($("p50"), latency(s.finality_ms.p50));
  text($("p99"), latency(s.finality_ms.p99));
  text($("samples"), t("samples", { n: whole(s.finality_ms.samples) }));
  text($("tps"), rate(speed?.transactions));
  text($("gas-rate"), compact(speed?.gas));
  const fill = speed?.blocks && head ? speed.gas / speed.blocks / head.gas_limit : speed && 0;
  text($("gas-fill"), percent(fill));
  text($("gas-limit"), compact(head?.gas_limit));
  attribute($("gas-meter"), "width", `${(100 * Math.min(1, fill ?? 0)).toFixed(1)}%`);
  text($("pool-total"), whole(s.pool.pending + s.pool.queued));
  text($("pool-pending"), whole(s.pool.pending));
  text($("pool-queued"), whole(s.pool.queued));
  text($("pool-bytes"), size(s.pool.bytes));
}

/** The least round number (a step times a power of ten) that is not below `value`. */
function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 1.5, 2, 3, 4, 5, 6, 8, 10].map((step) => step * power).find((step) => step >= value * 0.999);
}

function makeChart(node) {
  node.setAttribute("viewBox", `0 0 ${CHART_BARS * 4} 1`);
  for (const y of [0, 0.5, 1]) node.append(svg("line", { class: "grid", x1: 0, x2: CHART_BARS * 4, y1: y, y2: y }));
  for (let i = 0; i < CHART_BARS; i += 1) {
    node.append(svg("rect", { class: "bar-value", x: i * 4, width: 3, y: 1, height: 0 }));
  }
  node.append(svg("line", { class: "mark-line", x1: 0, x2: CHART_BARS * 4, y1: 2, y2: 2 }));
}

/** Draws `values` (oldest first, null where nothing was measured) right-aligned, and returns the top of the scale. */
function drawChart(node, values, mark, label, format) {
  const measured = values.filter((value) => value !== null);
  const top = measured.length ? roundUp(Math.max(...measured, mark ?? 0, 1)) : null;
  const bars = node.querySelectorAll("rect");
  const shift = bars.length - values.length;
  bars.forEach((bar, i) => {
    const value = values[i - shift] ?? null;
    const h = value === null ? 0 : Math.max(value / top, ZERO_BAR);
    attribute(bar, "height", h.toFixed(3));
    attribute(bar, "y", (1 - h).toFixed(3));
  });
  const line = node.querySelector(".mark-line");
  const y = top && mark ? 1 - mark / top : 2;
  attribute(line, "y1", y.toFixed(3));
  attribute(line, "y2", y.toFixed(3));
  attribute(node, "aria-label", measured.length === 0 ? t("chart_empty")
    : t(label, { n: whole(measured.length), min: format(Math.min(...measured)), max: format(Math.max(...measured)) }));
  return top;
}

function drawCharts() {
  const finality = [];
  for (let n = Math.max(0, state.newest - CHART_BARS + 1); n <= state.newest; n += 1) {
    finality.push(state.blocks.get(n)?.finality_ms ?? null);
  }
  const p50 = state.status.finality_ms.p50;
  const top = drawChart($("finality-chart"), finality, p50, "finality_chart", latency);
  text($("finality-max"), top === null ? "" : whole(top));

  const end = Math.floor(boxNow(state.conn.phase !== "live") / 1000);
  const tps = [];
  for (let s = end - CHART_BARS; s < end; s += 1) {
    tps.push(s < state.ratesFrom ? null : state.seconds.get(s)?.transactions ?? 0);
  }
  const tpsTop = drawChart($("tps-chart"), tps, null, "tps_chart", whole);
  text($("tps-max"), tpsTop === null ? "" : compact(tpsTop));
}

const rows = new Map(); // block number -> table row

function makeRow(block) {
  const row = element("tr");
  const head = element("th", "num pin", whole(block.number));
  head.scope = "row";
  const age = element("td", "num");
  const time = element("time");
  const at = new Date(block.timestamp_ms);
  if (!Number.isNaN(at.getTime())) time.dateTime = at.toISOString();
  time.title = dateTime(block.timestamp_ms);
  age.append(time);
  const hash = element("td");
  hash.append(copyable(String(block.hash), t("copy_block", { n: whole(block.number) })));
  row.append(head, age,
    element("td", block.transactions ? "num" : "num zero", whole(block.transactions)),
    element("td", block.gas_used ? "num" : "num zero", percent(block.gas_used / block.gas_limit)),
    element("td", "num", latency(block.finality_ms)),
    element("td", "num", size(block.size)),
    element("td", "name", block.proposer || t("unknown")), hash);
  return row;
}

/** Rows hold still while somebody reads or uses the table with a pointer or the keyboard. */
function tableHeld() {
  const { paused, pointer, touchUntil } = state.table;
  if (paused) return "held_paused";
  return pointer || Date.now() < touchUntil || $("blocks").querySelector(":focus-visible") ? "held_use" : null;
}

function drawBlocks() {
  const held = rows.size > 0 ? tableHeld() : null;
  const shown = Math.max(-1, ...rows.keys());
  text($("held"), held ? t(held, { n: whole(Math.max(0, state.newest - shown)) }) : "");
  if (!held) {
    const wanted = [...state.blocks.keys()].sort((a, b) => b - a).slice(0, ROWS);
    for (const [n, row] of rows) {
      if (wanted.includes(n)) continue;
      row.remove();
      rows.delete(n);
    }
    const fresh = wanted.filter((n) => !rows.has(n));
    wanted.forEach((n, i) => {
      if (rows.has(n)) return;
      const row = makeRow(state.blocks.get(n));
      if (fresh.length <= FRESH_ROWS_MAX) row.className = "fresh";
      rows.set(n, row);
      $("blocks").insertBefore(row, $("blocks").children[i] ?? null);
    });
  }
  const now = boxNow();
  for (const [n, row] of rows) {
    const block = state.blocks.get(n);
    if (block) text(row.querySelector("time"), span(now - block.timestamp_ms));
  }
  $("blocks-empty").hidden = rows.size > 0;
}

/** Runs `draw` only when `value` or the language changed, so that focus and selection survive. */
const drawn = new Map();
function whenChanged(key, value, draw) {
  const print = JSON.stringify([language(), value]);
  if (drawn.get(key) === print) return;
  drawn.set(key, print);
  draw();
}

function drawPeers() {
  const { peers } = state.status;
  whenChanged("peers", peers, () => {
    text($("peers-count"), t("peers_count", {
      up: whole(peers.filter((peer) => peer.connected).length), all: whole(peers.length),
    }));
    $("peers").replaceChildren(...peers.map((peer) => {
      const row = element("tr");
      const name = element("th", "name", peer.name);
      name.scope = "row";
      const condition = element("td");
      condition.append(element("span", peer.connected ? "peer-state up" : "peer-state down",
        t(peer.connected ? "connected" : "disconnected")));
      const key = element("td");
      key.append(copyable(String(peer.public_key), t("copy_key", { name: peer.name })));
      row.dataset.connected = String(Boolean(peer.connected));
      row.append(name, condition, element("td", "address", peer.address), key);
      return row;
    }));
    $("peers-empty").hidden = peers.length > 0;
  });
}

function drawBox() {
  const s = state.status;
  const role = ["validator", "follower"].includes(s.role) ? t(s.role) : String(s.role);
  text($("name"), s.name);
  text($("role"), role);
  text($("box-role"), role);
  text($("box-version"), s.version);
  const sinceStatus = state.conn.phase === "live" ? Date.now() - state.statusAt : 0;
  text($("box-uptime"), span(s.uptime_s * 1000 + sinceStatus, true));
  text($("box-chain"), String(s.chain_id));
  text($("box-validators"), t("quorum", { all: whole(s.validators), quorum: whole(s.quorum) }));
  const head = state.blocks.get(state.newest)?.hash ?? s.head_hash;
  const copies = [
    ["box-genesis", "genesis", s.genesis_hash], ["box-head", "head_hash", head], ["box-rpc", "rpc", s.rpc_url],
  ];
  for (const [id, label, value] of copies) {
    const cell = $(id);
    // A copy button in use is not replaced under the pointer: the click would be lost.
    if (cell.matches(":hover, :has(:focus-visible)")) continue;
    whenChanged(id, value, () => cell.replaceChildren(value ? copyable(String(value), t(label)) : t("unknown")));
  }
  text($("updated"), t("updated", { time: dateTime(state.conn.eventAt) }));
}

function render() {
  drawHealth();
  if (!state.status) return;
  drawFigures();
  drawCharts();
  drawBlocks();
  drawPeers();
  drawBox();
}

let scheduled = false;
let renderedAt = 0;

/** Asks for a drawing: on the next frame if the last is old enough, later if not, rarely in a hidden tab. */
function schedule() {
  if (scheduled) return;
  scheduled = true;
  const gap = document.hidden ? RENDER_HIDDEN_MS : RENDER_MS;
  const draw = () => {
    scheduled = false;
    renderedAt = Date.now();
    render();
  };
  const wait = Math.max(0, renderedAt + gap - Date.now());
  // A hidden tab gets no animation frames, so it draws from the timer alone.
  setTimeout(() => (document.hidden ? draw() : requestAnimationFrame(draw)), wait);
}

// ---- Controls ----

function relabel() {
  applyStaticText();
  for (const button of document.querySelectorAll("[data-lang]")) {
    button.setAttribute("aria-pressed", String(button.dataset.lang === language()));
  }
  text($("pause"), t(state.table.paused ? "resume" : "pause"));
  for (const row of rows.values()) row.remove();
  rows.clear();
  announced = "";
  render();
}

function start() {
  for (const button of document.querySelectorAll("[data-lang]")) {
    button.addEventListener("click", () => {
      setLanguage(button.dataset.lang);
      relabel();
    });
  }
  $("retry").addEventListener("click", connect);
  $("pause").addEventListener("click", () => {
    state.table.paused = !state.table.paused;
    text($("pause"), t(state.table.paused ? "resume" : "pause"));
    schedule();
  });
  const body = $("blocks");
  body.addEventListener("pointerenter", (event) => { state.table.pointer = event.pointerType === "mouse"; });
  body.addEventListener("pointerleave", () => { state.table.pointer = false; });
  body.addEventListener("pointerdown", (event) => {
    if (event.pointerType !== "mouse") state.table.touchUntil = Date.now() + TOUCH_HOLD_MS;
  });
  document.addEventListener("visibilitychange", schedule);
  makeChart($("finality-chart"));
  makeChart($("tps-chart"));
  relabel();
  connect();
  setInterval(() => {
    watch();
    schedule();
  }, RENDER_MS);
}

start();
