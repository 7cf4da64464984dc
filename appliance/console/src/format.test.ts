import { describe, expect, test } from "vitest";
import { bytes, decimal, ends, ether, percent, span, time, whole } from "./format";

describe("what people read", () => {
  test("numbers have separators, and nothing is a dash", () => {
    expect(whole(1_234_567, "en")).toBe("1,234,567");
    expect(whole(2n ** 64n, "en")).toBe("18,446,744,073,709,551,616");
    expect([whole(null, "en"), decimal(Number.NaN, "en"), bytes(undefined, "en")]).toEqual(["–", "–", "–"]);
    expect([decimal(4987.6, "en"), decimal(38.4321, "en"), decimal(0, "en")]).toEqual(["4,988", "38.4", "0"]);
  });

  test("sizes and shares", () => {
    expect([bytes(0, "en"), bytes(1023, "en"), bytes(1024, "en")]).toEqual(["0 B", "1,023 B", "1 KiB"]);
    expect(bytes(256 * 2 ** 30, "en")).toBe("256 GiB");
    expect([percent(1, 3, "en"), percent(1, 0, "en")]).toEqual(["33.3%", "–"]);
  });

  test("spans of time in two units", () => {
    expect([span(40, "en"), span(1000, "en"), span(61_000, "en")]).toEqual(["40 ms", "1 sec", "1 min 1 sec"]);
    expect([span(3_600_000, "en"), span(90_061_000, "en")]).toEqual(["1 hr", "1 day 1 hr"]);
    expect(span(90_061_000, "zh")).toBe("1天 1小时");
  });

  test("what is no time is a dash", () => {
    expect([time("yesterday", "en"), time(null, "en")]).toEqual(["–", "–"]);
    expect(time("2026-01-02T03:04:05Z", "en")).toContain("2026");
  });

  test("hashes are shortened in the middle only where that helps", () => {
    expect(ends("0x1234567890abcdef1234")).toBe("0x12345678…ef1234");
    expect(ends("0x1234")).toBe("0x1234");
  });

  test("wei in ether, exactly", () => {
    const values = [0n, 1n, 10n ** 18n, 1_500_000_000_000_000_000n, -1n, 123_456_789n * 10n ** 18n + 1n];
    expect(values.map(ether)).toEqual([
      "0",
      "0.000000000000000001",
      "1",
      "1.5",
      "-0.000000000000000001",
      "123456789.000000000000000001",
    ]);
  });
});
