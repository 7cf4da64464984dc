import { expect, test } from "vitest";
import { isHost, isPrefixed, listOf } from "./network-checks";

test("an address has the length of its prefix", () => {
  for (const good of ["192.0.2.10/24", "2001:db8::10/64"]) expect(isPrefixed(good), good).toBe(true);
  for (const bad of ["192.0.2.10", "192.0.2.10/", "192.0.2.10/129", "192.0.2.10/24/8", "box/24", ""]) {
    expect(isPrefixed(bad), bad).toBe(false);
  }
});

test("a server of time is a name or an address", () => {
  for (const good of ["ntp1.example", "ntp", "192.0.2.1", "2001:db8::1", "a-b.c-d.example."]) {
    expect(isHost(good), good).toBe(true);
  }
  for (const bad of ["", "-ntp", "ntp-", "a..b", "ntp.example:123", "http://ntp", "名.example", "a".repeat(254)]) {
    expect(isHost(bad), bad).toBe(false);
  }
});

test("values have commas or spaces between them", () => {
  expect(listOf(" a, b\nc,,d ")).toEqual(["a", "b", "c", "d"]);
  expect(listOf(" , ")).toEqual([]);
});
