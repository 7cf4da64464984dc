// The connection to the box: the event stream, the status behind it, and new tries where either fails.

import { span } from "./i18n.js";
import { state, takeBlock, takeStatus } from "./model.js";

const STATUS_TIMEOUT_MS = 5000;
const SILENCE_MS = 7000; // three status events (one every 2 s) missed: the stream is dead even if still open
const RETRY_FIRST_MS = 1000;
const RETRY_MAX_MS = 15000;

let source = null;
let openedAt = 0;
let retryTimer = 0;
let changed = () => {};

/** Has `listener` called after each change of the state that comes from the connection. */
export function onChange(listener) {
  changed = listener;
}

/** Opens the event stream anew, at once. */
export function connect() {
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
    changed();
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
    changed();
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
  changed();
}

/** Gives up a stream that is open but silent. To be called several times a second. */
export function watch() {
  const silent = Date.now() - Math.max(state.conn.eventAt, openedAt);
  if (source && silent > SILENCE_MS) lose({ key: "why_silent", values: () => ({ age: span(SILENCE_MS, true) }) });
}
