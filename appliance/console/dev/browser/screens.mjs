// How to reach each screen.

import { createHmac } from "node:crypto";
import { ORIGIN } from "./lib.mjs";

const CLAIM_CODE = "d0lm enbx 2026";
const submit = (page) => page.locator("main button[type=submit]").click();
const heading = (page) => page.locator("h1").first().waitFor();

function totp(secret) {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  const bits = Array.from(secret, (c) => alphabet.indexOf(c).toString(2).padStart(5, "0")).join("");
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000)));
  const digest = createHmac("sha1", key).update(counter).digest();
  return String((digest.readUInt32BE(digest.at(-1) & 15) & 0x7fffffff) % 1_000_000).padStart(6, "0");
}

async function wizardTo(page, step) {
  await page.goto(ORIGIN);
  await heading(page);
  if (step === "language") return;
  await submit(page);
  await page.locator("main input[placeholder]").fill(CLAIM_CODE);
  if (step === "claim") return;
  await submit(page);
  await page.locator("input[autocomplete=username]").fill("li.na");
  for (const index of [0, 1]) await page.locator("main input[type=password]").nth(index).fill("four unrelated words");
  if (step === "admin") return;
  await submit(page);
  await page.locator("#factor-totp").check();
  if (step === "factor") return;
  await submit(page);
  await page.locator(".dolmen-qr").waitFor();
  if (step === "totp") return;
  const secret = await page.locator(".dolmen-code-full").textContent();
  await page.locator("input[autocomplete=one-time-code]").fill(totp(secret));
  await submit(page);
  await page.locator(".dolmen-codes").waitFor();
  if (step === "codes") return;
  await page.locator("#codes-kept").check();
  await submit(page);
}

const wizard = (step) => ({
  name: `01-wizard-${step}`,
  login: false,
  options: { claimed: "no" },
  go: (page) => wizardTo(page, step),
});

/** A screen of the console by its path. */
const at = (name, path, ready, options = {}) => ({
  name,
  options,
  go: async (page) => {
    await page.goto(ORIGIN + path);
    await page.locator(ready).first().waitFor();
  },
});

export const SCREENS = [
  ...["language", "claim", "admin", "factor", "totp", "codes", "summary"].map(wizard),
  {
    name: "02-login",
    login: false,
    go: async (page) => {
      await page.goto(ORIGIN);
      await heading(page);
    },
  },
  {
    name: "02-login-wrong",
    login: false,
    go: async (page) => {
      await page.goto(ORIGIN);
      await page.locator("main input").nth(0).fill("admin");
      await page.locator("main input").nth(1).fill("wrong");
      await submit(page);
      await page.locator("[role=alert]").waitFor();
    },
  },
  {
    name: "02-login-code",
    login: false,
    go: async (page) => {
      await page.goto(ORIGIN);
      await page.locator("main input").nth(0).fill("admin");
      await page.locator("main input").nth(1).fill("correct horse battery");
      await submit(page);
      await page.locator("input[autocomplete=one-time-code]").waitFor();
    },
  },
  {
    name: "02-recovery-password",
    login: false,
    go: async (page) => {
      await page.goto(ORIGIN);
      await page.locator(".dolmen-aside").click();
      await page.locator("main input").nth(0).fill(CLAIM_CODE);
      await page.locator("main input").nth(1).fill("admin");
      await submit(page);
      await page.locator("input[autocomplete=new-password]").first().waitFor();
    },
  },
  at("03-dashboard", "/", ".dolmen-chart svg"),
  at("03-dashboard-trouble", "/", ".dolmen-chart svg", { trouble: "all" }),
];
