// The live view of the box: its event stream, gathered in a bounded buffer and shown to React a few times a second at
// most, however many blocks arrive.

import { useEffect, useSyncExternalStore } from "react";
import { get } from "./client";
import { LiveBuffer, type Block, type Rates, type Status } from "./live-buffer";
import { refreshSession } from "./session";

/** Between two updates of what is shown. */
const SHOW_INTERVAL_MS = 250;
/** Three status events (one every 2 s) missed: the stream is dead even if it is still open. */
const SILENCE_MS = 7_000;
const WATCH_INTERVAL_MS = 1_000;
const RETRY_FIRST_MS = 1_000;
const RETRY_MAX_MS = 15_000;
const BLOCKS_SHOWN = 100;

export type Phase = "connecting" | "live" | "lost";

export interface Live {
  phase: Phase;
  /** When the next try comes, by this computer's clock. */
  retryAt: number;
  status: Status | null;
  blocks: Block[];
  rates: Rates | null;
  transactions: (number | null)[];
  headAgeMs: number | null;
  /** When this was put together, by this computer's clock, and when the box was heard last. */
  at: number;
  heardAt: number;
}

const NOTHING: Live = {
  phase: "connecting",
  retryAt: 0,
  status: null,
  blocks: [],
  rates: null,
  transactions: [],
  headAgeMs: null,
  at: 0,
  heardAt: 0,
};

class LiveStream {
  private buffer = new LiveBuffer();
  private shown: Live = NOTHING;
  private phase: Phase = "connecting";
  private attempt = 0;
  private retryAt = 0;
  private heardAt = 0;
  private openedAt = 0;
  private source: EventSource | null = null;
  private users = 0;
  private frame = 0;
  private retryTimer: ReturnType<typeof setTimeout> | undefined;
  private watchTimer: ReturnType<typeof setInterval> | undefined;
  private listeners = new Set<() => void>();

  readonly subscribe = (listener: () => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  readonly snapshot = () => this.shown;

  /** Opens the stream for one more user of it. */
  readonly open = () => {
    this.users += 1;
    if (this.users === 1) {
      this.connect();
      this.watchTimer = setInterval(this.watch, WATCH_INTERVAL_MS);
    }
    return () => {
      this.users -= 1;
      if (this.users === 0) this.close();
    };
  };

  readonly retry = () => {
    this.connect();
  };

  private close(): void {
    this.source?.close();
    this.source = null;
    clearTimeout(this.retryTimer);
    clearInterval(this.watchTimer);
    // The next user of this page may not be allowed to see what this one saw.
    this.buffer = new LiveBuffer();
    this.phase = "connecting";
    this.shown = NOTHING;
  }

  private connect(): void {
    clearTimeout(this.retryTimer);
    this.source?.close();
    this.heardAt = Date.now();
    const own = new EventSource("/api/v1/events");
    this.source = own;
    const on = (name: string, handle: (data: string) => void) => {
      own.addEventListener(name, (event) => {
        if (this.source !== own) return;
        this.heardAt = Date.now();
        try {
          handle((event as MessageEvent<string>).data);
        } catch {
          this.lose();
        }
        this.changed();
      });
    };
    // The status is read after the stream is open: a block in between then arrives twice, never not at all.
    own.addEventListener("open", () => {
      this.openedAt = Date.now();
      void this.refresh(own);
    });
    on("block", (data) => {
      this.buffer.takeBlock(JSON.parse(data) as Block);
    });
    on("status", (data) => {
      if (this.buffer.status) this.buffer.takeStatus(JSON.parse(data) as Status, Date.now());
    });
    on("lagged", () => void this.refresh(own));
    own.addEventListener("error", () => {
      if (this.source !== own) return;
      // Closed means that the box answered, but with no stream: the session may have ended.
      if (own.readyState === EventSource.CLOSED) void refreshSession();
      // A stream ends with the session that it was opened in, and that of a new password or factor is another.
      else if (this.phase === "live" && Date.now() - this.openedAt > RETRY_FIRST_MS) {
        this.phase = "connecting";
        this.connect();
        this.changed();
        return;
      }
      this.lose();
    });
  }

  private async refresh(own: EventSource): Promise<void> {
    try {
      const status = await get<Status>("/status");
      if (this.source !== own) return;
      this.buffer.takeStatus(status, Date.now());
      this.phase = "live";
      this.attempt = 0;
      this.heardAt = Date.now();
    } catch {
      if (this.source === own) this.lose();
    }
    this.changed();
  }

  /** Closes the stream and plans the next try: doubling waits with jitter against stampedes. */
  private lose(): void {
    this.source?.close();
    this.source = null;
    clearTimeout(this.retryTimer);
    const wait = Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** this.attempt) * (0.8 + 0.4 * Math.random());
    this.attempt = Math.min(this.attempt + 1, 10);
    this.phase = "lost";
    this.retryAt = Date.now() + wait;
    this.retryTimer = setTimeout(this.retry, wait);
    this.changed();
  }

  /** Gives up a stream that is open but silent, and keeps ages on the page moving. */
  private readonly watch = () => {
    if (this.source && Date.now() - this.heardAt > SILENCE_MS) this.lose();
    this.changed();
  };

  /** Has the new state shown with the next frame that is due; a hidden tab has no frames and costs nothing. */
  private changed(): void {
    if (this.frame !== 0) return;
    this.frame = requestAnimationFrame(this.show);
  }

  private readonly show = () => {
    this.frame = 0;
    const now = Date.now();
    if (this.users === 0) return;
    if (now - this.shown.at < SHOW_INTERVAL_MS) {
      this.changed();
      return;
    }
    // Rates stand still while the box is not heard, so that silence is not read as zero.
    const ratesAt = this.phase === "live" ? now : this.heardAt;
    this.shown = {
      phase: this.phase,
      retryAt: this.retryAt,
      status: this.buffer.status,
      blocks: this.buffer.latest(BLOCKS_SHOWN),
      rates: this.buffer.rates(ratesAt),
      transactions: this.buffer.transactionSeries(ratesAt),
      headAgeMs: this.buffer.headAge(now),
      at: now,
      heardAt: this.heardAt,
    };
    for (const listener of this.listeners) listener();
  };
}

const stream = new LiveStream();

/** Keeps the event stream open while the caller is on the page. */
export function useLiveStream(): void {
  useEffect(() => stream.open(), []);
}

/** The live view as it is now. */
export function useLive(): Live {
  return useSyncExternalStore(stream.subscribe, stream.snapshot);
}

export const retryLive = stream.retry;
