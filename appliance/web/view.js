// Draws the state into the page. Nodes are touched only where their content changed.

import { compact, dateTime, language, latency, percent, rate, size, span, t, whole } from "./i18n.js";
import {
  boxNow, CHART_BARS, finalitySeries, headAge, rates, roundUp, state, transactionSeries, verdictNow,
} from "./model.js";

const ROWS = 25;
const FRESH_ROWS_MAX = 2; // highlight single arrivals; at high block rates it would only flicker
const ZERO_BAR = 0.02; // height of a measured zero, so that it differs from "no data"

export const $ = (id) => document.getElementById(id);

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

/** Writes a verdict into the nodes for its title, cause and next step. */
function drawVerdict({ key, values }, [title, ...rest]) {
  text(title, t(`${key}_title`, values));
  ["cause", "next"].forEach((part, i) => {
    text(rest[i], t(`${key}_${part}`, values));
    rest[i].hidden = rest[i].textContent === "";
  });
}

function drawMore(more) {
  const items = $("health-more");
  while (items.children.length > more.length) items.lastElementChild.remove();
  while (items.children.length < more.length) {
    const item = element("li");
    item.append(element("h3"), element("p"), element("p", "next"));
    items.append(item);
  }
  more.forEach((verdict, i) => drawVerdict(verdict, items.children[i].children));
  items.hidden = more.length === 0;
}

function drawHealth() {
  const verdict = verdictNow();
  const { level, key, values, more } = verdict;
  const title = t(`${key}_title`, values);
  attribute($("health"), "data-level", level);
  attribute($("health-icon"), "href", `#icon-${level}`);
  drawVerdict(verdict, [$("health-title"), $("health-cause"), $("health-next")]);
  drawMore(more);
  const { phase } = state.conn;
  $("retry").hidden = phase !== "lost";
  attribute(document.body, "data-conn", phase);
  text($("connection-text"), t(phase));
  document.title = `${state.status ? `${state.status.name}: ` : ""}${title} · Dolmen`;
  // Spoken once per change of state; the seconds that count up in the title are not repeated.
  const said = JSON.stringify([verdict, ...more].map((one) => [one.key, one.alarm]));
  if (announced !== said) announce([title, ...more.map((one) => t(`${one.key}_title`, one.values))].join("; "));
  announced = said;
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

/** Puts the lines and bars that `drawChart` moves into the empty `node`. */
export function makeChart(node) {
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
  const top = drawChart($("finality-chart"), finalitySeries(), state.status.finality_ms.p50, "finality_chart", latency);
  text($("finality-max"), top === null ? "" : whole(top));
  const tpsTop = drawChart($("tps-chart"), transactionSeries(), null, "tps_chart", whole);
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
  // Heights change all the time, and drawing the rows anew would take the focus from their buttons.
  whenChanged("peers", peers.map(({ height: _, ...rest }) => rest), () => {
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
      row.append(name, condition, element("td", "num"), element("td", "address", peer.address), key);
      return row;
    }));
    $("peers-empty").hidden = peers.length > 0;
  });
  peers.forEach((peer, i) => text($("peers").rows[i].cells[2], peer.connected ? whole(peer.height) : t("unknown")));
}

function drawKeys() {
  const { keys } = state.status;
  const named = (prefix, value, known) => (known.includes(value) ? t(`${prefix}_${value}`) : value || t("unknown"));
  whenChanged("keys", keys, () => {
    $("keys").replaceChildren(...keys.map((key) => {
      const row = element("tr");
      const use = element("th", "", named("use", key.use, ["consensus", "tls", "api"]));
      use.scope = "row";
      const uri = element("td", "uri");
      uri.append(key.uri ? element("code", "", key.uri) : t("unknown"));
      const publicKey = element("td");
      const what = t("copy_own_key", { use: use.textContent });
      publicKey.append(key.public_key ? copyable(key.public_key, what) : t("unknown"));
      row.append(use, uri, element("td", "", key.algorithm || t("unknown")),
        element("td", "", named("in", key.in, ["device", "memory"])), publicKey);
      return row;
    }));
    $("keys-panel").hidden = keys.length === 0;
  });
}

/** The JSON-RPC address for others: a box that listens on all its addresses is reached at the one of this page. */
function rpcUrl(url) {
  return url.replace(/^http:\/\/(0\.0\.0\.0|\[::\]):/, `http://${location.hostname}:`);
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
    ["box-genesis", "genesis", s.genesis_hash], ["box-head", "head_hash", head], ["box-rpc", "rpc", rpcUrl(s.rpc_url)],
  ];
  for (const [id, label, value] of copies) {
    const cell = $(id);
    // A copy button in use is not replaced under the pointer: the click would be lost.
    if (cell.matches(":hover, :has(:focus-visible)")) continue;
    whenChanged(id, value, () => cell.replaceChildren(value ? copyable(String(value), t(label)) : t("unknown")));
  }
  text($("updated"), t("updated", { time: dateTime(state.conn.eventAt) }));
}

/** Draws everything the state has. */
export function render() {
  drawHealth();
  if (!state.status) return;
  drawFigures();
  drawCharts();
  drawBlocks();
  drawPeers();
  drawBox();
  drawKeys();
}

/** Draws everything anew, as after a change of language. */
export function redraw() {
  for (const row of rows.values()) row.remove();
  rows.clear();
  announced = "";
  render();
}
