// Requests to the box that served this page. The session is a cookie that scripts cannot read; what changes something
// carries the session's CSRF token, too.

import { ApiError, problemOf, UNREACHABLE, UNREADABLE } from "./problem";

const BASE = "/api/v1";
const ANSWER_WAIT_MS = 30_000;

/** After this long without a key or a pointer, what the page asks is not its user's doing. */
const AWAY_MS = 60_000;

let usedAt = Date.now();

// A test has no page.
if ("addEventListener" in globalThis) {
  for (const event of ["keydown", "pointerdown", "wheel"]) {
    globalThis.addEventListener(event, () => (usedAt = Date.now()), { capture: true, passive: true });
  }
}

type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

let csrfToken: string | null = null;
let onUnauthenticated: () => void = () => undefined;

/** Takes the token of the session that requests belong to from now on. */
export function setCsrfToken(token: string | null): void {
  csrfToken = token;
}

/** Has `listener` called where a request shows that the session may have ended. */
export function whenUnauthenticated(listener: () => void): void {
  onUnauthenticated = listener;
}

/** Where 401 answers who wants to come in, or is the answer to who is in. */
const LOGIN_PATHS = /^\/(session|claim|recovery)\b/;

interface Options {
  body?: unknown;
  /** A file instead of JSON. */
  file?: Blob;
  waitMs?: number;
  signal?: AbortSignal;
}

function headersOf(method: Method, options: Options): Headers {
  const headers = new Headers({ Accept: "application/json, application/problem+json" });
  if (options.body !== undefined) headers.set("Content-Type", "application/json");
  if (options.file !== undefined) headers.set("Content-Type", "application/octet-stream");
  // The box lets a session end that nobody uses, whatever an open page goes on to ask.
  if (Date.now() - usedAt > AWAY_MS) headers.set("X-Dolmen-Background", "1");
  if (method !== "GET" && csrfToken !== null) headers.set("X-CSRF-Token", csrfToken);
  return headers;
}

/** What a refusal says. */
function refusal(path: string, status: number, text: string): ApiError {
  if (status === 401 && !LOGIN_PATHS.test(path)) onUnauthenticated();
  return new ApiError(problemOf(status, parse(text)));
}

function ask(method: Method, path: string, options: Options): Promise<Response> {
  const timeout = AbortSignal.timeout(options.waitMs ?? ANSWER_WAIT_MS);
  return fetch(BASE + path, {
    method,
    headers: headersOf(method, options),
    body: options.file ?? (options.body === undefined ? null : JSON.stringify(options.body)),
    cache: "no-store",
    credentials: "same-origin",
    redirect: "error",
    signal: options.signal ? AbortSignal.any([options.signal, timeout]) : timeout,
  });
}

/** Answers to what was asked early. */
const early = new Map<string, Promise<Response>>();

/** Asks for what `get` will be asked for; the first that asks gets the answer. */
export function askEarly(path: string): Promise<Response> {
  const answer = ask("GET", path, {});
  early.set(path, answer);
  return answer;
}

async function send(method: Method, path: string, options: Options): Promise<Response> {
  const asked = method === "GET" ? early.get(path) : undefined;
  early.delete(path);
  let response: Response;
  try {
    response = await (asked ?? ask(method, path, options));
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new ApiError({ status: 0, code: UNREACHABLE }, error);
  }
  if (response.ok) return response;
  throw refusal(path, response.status, await response.text());
}

/** JSON, or the text where it is none. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text.trim().slice(0, 500);
  }
}

/** Sends a request and returns the JSON of its answer. */
export async function request<T>(method: Method, path: string, options: Options = {}): Promise<T> {
  const response = await send(method, path, options);
  const text = await response.text();
  if (text === "") return undefined as T;
  try {
    return JSON.parse(text) as T;
  } catch (error) {
    throw new ApiError({ status: response.status, code: UNREADABLE }, error);
  }
}

export const get = <T>(path: string, signal?: AbortSignal) => request<T>("GET", path, signal ? { signal } : {});
export const post = <T = undefined>(path: string, body?: unknown) => request<T>("POST", path, { body });

/** Sends a file and tells how much of it has gone, which `fetch` does not. It may take as long as it takes. */
export function upload(path: string, file: Blob, told: (bytes: number) => void, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const sending = new XMLHttpRequest();
    sending.open("PUT", BASE + path);
    headersOf("PUT", { file }).forEach((value, name) => {
      sending.setRequestHeader(name, value);
    });
    sending.upload.onprogress = ({ loaded }) => {
      told(Math.min(loaded, file.size));
    };
    sending.onload = () => {
      if (sending.status >= 200 && sending.status < 300) resolve();
      else reject(refusal(path, sending.status, sending.responseText));
    };
    sending.onerror = () => {
      reject(new ApiError({ status: 0, code: UNREACHABLE }));
    };
    const stop = () => {
      sending.abort();
    };
    sending.onabort = () => {
      reject(new DOMException("the upload was stopped", "AbortError"));
    };
    signal.addEventListener("abort", stop);
    sending.onloadend = () => {
      signal.removeEventListener("abort", stop);
    };
    sending.send(file);
  });
}

/** Sends a request whose answer is a file, and has the browser keep that. */
export async function download(method: Method, path: string, name: string, waitMs: number): Promise<void> {
  const response = await send(method, path, { waitMs });
  saveBlob(await response.blob(), name);
}

/** Has the browser keep a file. */
export function saveBlob(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  // The download has begun by the next task.
  setTimeout(() => {
    URL.revokeObjectURL(link.href);
  }, 10_000);
}
