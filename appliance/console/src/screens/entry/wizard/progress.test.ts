import { beforeEach, expect, test, vi } from "vitest";
import { begun, forgetProgress, hasBegun, keepProgress } from "./progress";

const store = new Map<string, string>();

beforeEach(() => {
  store.clear();
  vi.stubGlobal("sessionStorage", {
    getItem: (key: string) => store.get(key) ?? null,
    setItem: (key: string, value: string) => store.set(key, value),
    removeItem: (key: string) => store.delete(key),
  });
});

test("a first run goes on where it was, past codes that nobody has any more", () => {
  keepProgress({ step: "language", user: "", hasCodes: false });
  expect(hasBegun()).toBe(false);
  keepProgress({ step: "recovery", user: "ada", hasCodes: true });
  expect(begun()).toEqual({ step: "box", user: "ada", hasCodes: true });
  forgetProgress();
  expect(hasBegun()).toBe(false);
});

test("what another version kept begins nothing", () => {
  keepProgress({ step: "box", user: "ada", hasCodes: false });
  const [key] = store.keys();
  for (const text of ["", "null", "3", "not JSON", '{"step":"keys","user":"ada","hasCodes":false}', '{"step":"box"}']) {
    store.set(key ?? "", text);
    expect([text, begun()]).toEqual([text, null]);
  }
});
