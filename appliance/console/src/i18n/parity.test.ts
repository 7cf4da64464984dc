import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import en from "./en.json";
import zh from "./zh.json";

function words(tree: object, path = ""): Map<string, string> {
  const found = new Map<string, string>();
  for (const [key, value] of Object.entries(tree) as [string, unknown][]) {
    const at = path === "" ? key : `${path}.${key}`;
    if (typeof value === "string") found.set(at, value);
    else for (const [inner, text] of words(value as object, at)) found.set(inner, text);
  }
  return found;
}

const placeholders = (text: string) => (text.match(/\{\{\s*\w+\s*\}\}/g) ?? []).toSorted();

const english = words(en);
const chinese = words(zh);

test("both languages have the same keys", () => {
  expect([...chinese.keys()].toSorted()).toEqual([...english.keys()].toSorted());
});

test("both languages name the same values in each text", () => {
  for (const [key, text] of english) expect(placeholders(chinese.get(key) ?? ""), key).toEqual(placeholders(text));
});

test("a text is empty in both languages or in neither, and Chinese is not English left over", () => {
  for (const [key, text] of english) {
    const other = chinese.get(key) ?? "";
    expect(other === "", key).toBe(text === "");
    // Two English words in a row stay English only inside a text that has Chinese around them.
    if (/[a-z]{3,} [a-z]{3,}/.test(text)) expect(other, key).toMatch(/\p{Script=Han}/u);
  }
});

test("each reason for which a box refuses something has its words", () => {
  const appliance = new URL("../../../", import.meta.url);
  const read = (path: string) => readFileSync(new URL(path, appliance), "utf8");
  const inApi = readdirSync(new URL("src/admin/api", appliance)).filter((name) => name.endsWith(".rs"));
  const rows = read("access/src/code.rs").matchAll(/\(\s*"([a-z-]+)",\s*\d{3},/g);
  const own = ["events.rs", "update.rs", ...inApi.map((name) => `api/${name}`)].flatMap((name) => [
    ...read(`src/admin/${name}`).matchAll(/(?:bad\(|StatusCode::[A-Z_]+, |status\(\), |status, )"([a-z-]+)"/g),
  ]);
  const codes = [...rows, ...own].map(([, code]) => code ?? "");
  expect(codes.length).toBeGreaterThan(40);
  for (const code of codes) expect(english.has(`problem.${code}.title`), code).toBe(true);
});
