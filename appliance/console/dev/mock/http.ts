// Routes, answers and who may ask.

import type { IncomingMessage, ServerResponse } from "node:http";
import type { Role } from "../../src/api/types.ts";
import type { MockState, MockUser, Session } from "./state.ts";

export interface Context {
  state: MockState;
  request: IncomingMessage;
  response: ServerResponse;
  query: URLSearchParams;
  params: string[];
  body: Record<string, unknown>;
  session: Session | null;
  user: MockUser | null;
}

export interface Route {
  method: string;
  /** Segments; `*` takes any. */
  path: string;
  /** None: open to all. */
  needs?: Role;
  /** Answers even while the session lacks a factor or a password. */
  whilePending?: boolean;
  handle: (context: Context) => unknown;
}

/** A refusal to be answered as RFC 9457. */
export class Refusal extends Error {
  readonly status: number;
  readonly code: string;
  readonly more: Record<string, unknown>;
  constructor(status: number, code: string, detail = "", more: Record<string, unknown> = {}) {
    super(detail);
    this.status = status;
    this.code = code;
    this.more = more;
  }
}

/** An answer with another status than 200. */
export class Answer {
  readonly status: number;
  readonly body: unknown;
  constructor(status: number, body?: unknown) {
    this.status = status;
    this.body = body;
  }
}

/** The handler answers by itself. */
export const STREAMED = Symbol("streamed");

const RANK: Record<Role, number> = { viewer: 0, operator: 1, "security-officer": 2 };
const SESSION_COOKIE = "__Host-dolmen-session";

export function setSessionCookie(response: ServerResponse, id: string): void {
  const age = id === "" ? "; Max-Age=0" : "";
  response.setHeader("Set-Cookie", `${SESSION_COOKIE}=${id}; Path=/; Secure; HttpOnly; SameSite=Strict${age}`);
}

/** Refuses what the session may not do. */
export function authorize(route: Route, context: Context): void {
  const { session, user, request } = context;
  if (route.needs === undefined) return;
  if (!session || !user) throw new Refusal(401, "no-session", "there is no such session, or it has ended");
  if (request.method !== "GET" && request.headers["x-csrf-token"] !== session.csrf) {
    throw new Refusal(403, "csrf", "the request has no CSRF token of its session");
  }
  if (session.pending !== null && !route.whilePending) throw new Refusal(403, `pending-${session.pending}`);
  if (RANK[user.role] < RANK[route.needs]) {
    throw new Refusal(403, "role-too-low", `this needs the role ${route.needs}`, { next: "ask a security officer" });
  }
}

async function readBody(request: IncomingMessage): Promise<Record<string, unknown>> {
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(piece as Buffer);
  const text = Buffer.concat(pieces);
  if (!String(request.headers["content-type"]).startsWith("application/json") || text.length === 0) return {};
  const parsed = JSON.parse(text.toString()) as unknown;
  return Array.isArray(parsed) ? { batch: parsed } : (parsed as Record<string, unknown>);
}

function match(pattern: string, path: string): string[] | null {
  const [wanted, found] = [pattern.split("/"), path.split("/")];
  if (wanted.length !== found.length) return null;
  const params: string[] = [];
  for (const [index, segment] of wanted.entries()) {
    const value = decodeURIComponent(found[index] ?? "");
    if (segment === "*") params.push(value);
    else if (segment !== value) return null;
  }
  return params;
}

export async function dispatch(
  routes: Route[],
  state: MockState,
  request: IncomingMessage,
  response: ServerResponse,
  url: URL,
  base: string,
  allow: typeof authorize,
): Promise<void> {
  const path = url.pathname.slice(base.length);
  const send = (status: number, body: unknown, type = "application/json") => {
    response.statusCode = status;
    response.setHeader("Cache-Control", "no-store");
    if (body === undefined) {
      response.end();
      return;
    }
    response.setHeader("Content-Type", type);
    response.end(JSON.stringify(body));
  };
  try {
    for (const route of routes) {
      const params = route.method === request.method ? match(route.path, path) : null;
      if (!params) continue;
      const cookie = new RegExp(`${SESSION_COOKIE}=([^;]+)`).exec(request.headers.cookie ?? "")?.[1];
      const session = state.session(cookie);
      const user = session ? (state.users.get(session.name) ?? null) : null;
      const context: Context = {
        state,
        request,
        response,
        query: url.searchParams,
        params,
        body: request.method === "GET" ? {} : await readBody(request),
        session,
        user,
      };
      allow(route, context);
      const result = await route.handle(context);
      if (result === STREAMED) return;
      if (result instanceof Answer) send(result.status, result.body);
      else send(200, result);
      return;
    }
    throw new Refusal(404, "not-here", "this box has nothing at this address");
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    const { status, code, message, more } = error;
    const title = code.replaceAll("-", " ");
    const problem = {
      type: `urn:dolmen:problem:${code}`,
      title,
      status,
      code,
      ...(message ? { detail: message } : {}),
      ...more,
    };
    send(status, problem, "application/problem+json");
  }
}
