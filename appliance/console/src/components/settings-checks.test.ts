import { expect, test } from "vitest";
import { bare, isBoxName, isSyslog, isTraces } from "./settings-checks";

test("a box's name has 1 to 64 characters and no control characters", () => {
  for (const good of ["alpha-1", "北京 一号", "😀".repeat(64)]) expect(isBoxName(good), good).toBe(true);
  for (const bad of ["", "a\nb", "a\u007fb", "a".repeat(65)]) expect(isBoxName(bad), bad).toBe(false);
});

test("traces go to an address of the web, without a path", () => {
  for (const good of ["http://10.0.0.9:4318", "https://otel.example:4318", "http://[2001:db8::9]:4318"]) {
    expect(isTraces(good), good).toBe(true);
  }
  for (const bad of ["otel:4318", "http://otel", "http://otel:4318/v1/traces", "grpc://otel:4317", "http://a@b:1"]) {
    expect(isTraces(bad), bad).toBe(false);
  }
  expect(bare(" http://otel:4318/ ")).toBe("http://otel:4318");
});

test("a log goes to a host and a port by UDP or TCP", () => {
  for (const good of ["udp://10.0.0.9:514", "tcp://log.example:601", "udp://[2001:db8::9]:514"]) {
    expect(isSyslog(good), good).toBe(true);
  }
  for (const bad of ["log:514", "udp://log", "http://log:514", "udp://log:514/x", "tls://log:6514"]) {
    expect(isSyslog(bad), bad).toBe(false);
  }
});
