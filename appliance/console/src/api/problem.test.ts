import { describe, expect, test } from "vitest";
import { ApiError, isAbsent, problemIn, problemOf } from "./problem";

describe("what a box answers where it refuses", () => {
  test("keeps code, cause, next step and wait", () => {
    const body = { code: "too-many-attempts", detail: "10 in a minute", next: "wait", retry_after_s: 59.2, title: "x" };
    expect(problemOf(429, body)).toEqual({
      status: 429,
      code: "too-many-attempts",
      title: "x",
      detail: "10 in a minute",
      next: "wait",
      retry_after_s: 60,
    });
  });

  test("has a code even where the body has none", () => {
    expect(problemOf(502, "bad gateway")).toEqual({ status: 502, code: "http-502", detail: "bad gateway" });
    expect(problemOf(500, null)).toEqual({ status: 500, code: "http-500" });
    expect(problemOf(403, { code: 7, detail: {}, retry_after_s: "soon" })).toEqual({ status: 403, code: "http-403" });
  });

  test("an absent feature is told from a refusal", () => {
    const absent = (status: number, code: string) => isAbsent(new ApiError({ status, code }));
    expect([absent(404, "not-here"), absent(404, "no-registrar"), absent(404, "http-404")]).toEqual([true, true, true]);
    expect([absent(404, "unknown-user"), absent(403, "role-too-low"), isAbsent(new Error("x"))]).toEqual([
      false,
      false,
      false,
    ]);
  });

  test("whatever else was thrown becomes a problem, too", () => {
    expect(problemIn(new TypeError("x is not a function"))).toMatchObject({ status: 0, detail: "x is not a function" });
    const missing = Object.assign(new Error("long\ntext"), { name: "BlockNotFoundError", shortMessage: "no block" });
    expect(problemIn(missing)).toEqual({ status: 404, code: "not-on-chain" });
    const reverted = Object.assign(new Error("long\ntext"), { name: "CallExecutionError", shortMessage: "reverted" });
    expect(problemIn(reverted)).toEqual({ status: 0, code: "rpc", detail: "reverted" });
  });
});
