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
