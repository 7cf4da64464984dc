import { expect, test } from "vitest";
import { identityIn } from "./identity";
import { inOrder } from "./order";

const SECRET = `AGE-SECRET-KEY-1${"QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L".repeat(2).slice(0, 58)}`;

test("the manifest is sent last, and a name once", () => {
  const names = ["manifest.json", "000002-blocks.zst.age", "000001-state.zst.age", "000001-blocks.zst.age"];
  const files = [...names, "000001-state.zst.age"].map((name, index) => ({ name, index }));
  expect(inOrder(files).map(({ name }) => name)).toEqual([
    "000001-blocks.zst.age",
    "000001-state.zst.age",
    "000002-blocks.zst.age",
    "manifest.json",
  ]);
  expect(inOrder(files).find(({ name }) => name === "000001-state.zst.age")?.index).toBe(4);
});

test("an identity is taken alone, in small letters, and out of its file", () => {
  expect(identityIn(SECRET)).toBe(SECRET);
  expect(identityIn(` ${SECRET.toLowerCase()}\n`)).toBe(SECRET);
  expect(identityIn(`# created: 2026-01-01\n# public key: age1qqqq\n${SECRET}\n`)).toBe(SECRET);
});

test("what is no identity, or more than one, is not taken", () => {
  expect(identityIn("")).toBeNull();
  expect(identityIn("age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p")).toBeNull();
  expect(identityIn(SECRET.slice(0, -1))).toBeNull();
  expect(identityIn(`${SECRET}Q`)).toBeNull();
  expect(identityIn(SECRET.replace("QPZ", "BIO"))).toBeNull();
  expect(identityIn(`${SECRET}\n${SECRET}`)).toBeNull();
});
