// What a box says when it refuses: RFC 9457, with a code that never changes.

import type { Api } from "./types";

type Sent = Api<"Problem">;

/** What is known of a problem, which a box need not have sent. */
export type Problem = Pick<Sent, "status" | "code"> &
  Partial<Pick<Sent, "title" | "detail" | "next">> & { retry_after_s?: number };

/** Codes of what this computer noticed itself. */
export const UNREACHABLE = "unreachable";
export const UNREADABLE = "unreadable";

/** A request that was refused, or never answered. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly problem: Problem;

  constructor(problem: Problem, cause?: unknown) {
    super(problem.detail ?? problem.code, { cause });
    this.problem = problem;
  }
}

function text(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

/** A problem from a response's status and its body, whatever that is. */
export function problemOf(status: number, body: unknown): Problem {
  const fields = typeof body === "object" && body !== null ? (body as Record<string, unknown>) : {};
  const retry = fields.retry_after_s;
  return {
    status,
    code: text(fields.code) ?? `http-${status}`,
    ...optional("title", text(fields.title)),
    ...optional("detail", text(fields.detail) ?? text(body)),
    ...optional("next", text(fields.next)),
    ...(typeof retry === "number" && Number.isFinite(retry) && retry > 0 ? { retry_after_s: Math.ceil(retry) } : {}),
  };
}

function optional<K extends string>(key: K, value: string | undefined): Partial<Record<K, string>> {
  return value === undefined ? {} : ({ [key]: value } as Partial<Record<K, string>>);
}

/** The problem in whatever was thrown. */
export function problemIn(error: unknown): Problem {
  if (error instanceof ApiError) return error.problem;
  if (!(error instanceof Error)) return { status: 0, code: UNREADABLE, detail: String(error) };
  // viem's errors carry the API's own as a cause, or a short message.
  for (let cause = error.cause; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof ApiError) return cause.problem;
  }
  if (error.name.endsWith("NotFoundError")) return { status: 404, code: "not-on-chain" };
  if ("shortMessage" in error) return { status: 0, code: "rpc", detail: String(error.shortMessage) };
  return { status: 0, code: UNREADABLE, detail: error.message };
}

/** Whether this box has no such thing at all, rather than refusing it now. */
export function isAbsent(error: unknown): boolean {
  const { code, status } = problemIn(error);
  return code === "not-here" || code === "no-registrar" || (status === 404 && code === "http-404");
}
