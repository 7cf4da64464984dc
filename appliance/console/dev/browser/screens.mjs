// How to reach each screen.

import { createHmac } from "node:crypto";
import { ORIGIN } from "./lib.mjs";

const TOKEN = "0x5FbDB2315678afecb367f032d93F642f64180aa3";
const CLAIM_CODE = "d0lm enbx 2026";
const submit = (page) => page.locator("main button[type=submit]").click();
const heading = (page) => page.locator("h1").first().waitFor();

export function totp(secret) {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  const bits = Array.from(secret, (c) => alphabet.indexOf(c).toString(2).padStart(5, "0")).join("");
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000)));
  const digest = createHmac("sha1", key).update(counter).digest();
  return String((digest.readUInt32BE(digest.at(-1) & 15) & 0x7fffffff) % 1_000_000).padStart(6, "0");
}

/** The steps behind the login, with what shows that one is there. */
const AFTER_CODES = [
  ["box", "main .dolmen-form input, main .dolmen-facts"],
  ["network", "#mode-dhcp"],
  ["organisation", "main .dolmen-facts"],
  ["summary", "main .pf-v6-c-alert.pf-m-success"],
];

export async function wizardTo(page, step) {
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
  for (const [name, ready] of AFTER_CODES) {
    await page.locator(ready).first().waitFor();
    if (step === name) return;
    await submit(page);
  }
}

const wizard = (step, name = step, options = {}) => ({
  name: `01-wizard-${name}`,
  login: false,
  options: { claimed: "no", ...options },
  go: (page) => wizardTo(page, step),
});

async function contract(page) {
  await page.goto(`${ORIGIN}/accounts/${TOKEN}`);
  await page.locator("#main form button.pf-m-secondary:not(.pf-v6-c-file-upload *)").last().click();
  await page.locator("[role=tab]").first().waitFor();
}

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
  ...["language", "claim", "admin", "factor", "totp", "codes", "box", "network", "organisation", "summary"].map(
    (step) => wizard(step),
  ),
  wizard("box", "box-fixed", { settings: "read-only" }),
  wizard("organisation", "organisation-files", { provisioning: "no" }),
  wizard("summary", "summary-waits", { waits: "yes" }),
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
  at("04-blocks", "/blocks", "#main table"),
  at("04-blocks-older", "/blocks?before=1000", "#main table"),
  at("04-block", "/blocks/1000", "#main table"),
  at("04-block-missing", "/blocks/99999999999", "#main [role=alert]"),
  {
    name: "04-transaction",
    go: async (page) => {
      await page.goto(`${ORIGIN}/blocks`);
      await page.locator("#main td a").first().click();
      await page.locator("#main a[href^='/transactions/']").first().click();
      await page.locator("#main .dolmen-list").waitFor();
    },
  },
  at("04-account", "/accounts/0x00000000000000000000000000000000000000a1", "#main .dolmen-facts"),
  {
    name: "04-contract-abi",
    go: async (page) => {
      await page.goto(`${ORIGIN}/accounts/${TOKEN}`);
      await page.locator("#abi").fill('[{"type":"function"}]');
      await page.locator("#main form button[type=submit]").click();
      await page.locator(".pf-m-error").first().waitFor();
    },
  },
  {
    name: "04-contract-read",
    go: async (page) => {
      await contract(page);
      const toggles = page.locator(".pf-v6-c-expandable-section__toggle button");
      await toggles.filter({ hasText: "totalSupply()" }).click();
      await page.locator(".dolmen-function button[type=submit]:visible").first().click();
      await page.locator(".dolmen-function .dolmen-pre").waitFor();
      await toggles.filter({ hasText: "balanceOf(address)" }).click();
    },
  },
  {
    name: "04-contract-write",
    go: async (page) => {
      await contract(page);
      await page.locator("[role=tab]").nth(1).click();
    },
  },
  {
    name: "04-contract-events",
    go: async (page) => {
      await contract(page);
      await page.locator("[role=tab]").nth(2).click();
      await page.locator("#main [role=tabpanel]:visible table").waitFor();
    },
  },
  at("05-consortium", "/consortium", "#main table"),
  at("05-consortium-boxes", "/consortium?tab=boxes", "#main table"),
  at("05-consortium-validators", "/consortium?tab=validators", "#main table"),
  at("05-consortium-proposals", "/consortium?tab=proposals", "#main .dolmen-facts"),
  at("05-consortium-inbox", "/consortium?tab=inbox", "#main .dolmen-cards"),
  {
    name: "05-consortium-inbox-approve",
    go: async (page) => {
      await page.goto(`${ORIGIN}/consortium?tab=inbox`);
      await page.locator("#main .dolmen-cards button.pf-m-primary").first().click();
      await page.locator("[role=dialog]").waitFor();
    },
  },
  at("05-consortium-no-registrar", "/consortium?tab=inbox", "#main .pf-v6-c-empty-state", { registrar: "no" }),
  at("06-keys", "/keys", "#main .dolmen-cards"),
  at("06-keys-refused", "/keys", "#main .dolmen-cards", { trouble: "all" }),
  {
    name: "06-keys-rotate",
    go: async (page) => {
      await page.goto(`${ORIGIN}/keys`);
      await page.locator("#main .dolmen-cards button.pf-m-secondary").first().click();
      await page.locator("[role=dialog]").waitFor();
    },
  },
  {
    name: "06-keys-rotated",
    go: async (page) => {
      await page.goto(`${ORIGIN}/keys`);
      await page.locator("#main .dolmen-cards button.pf-m-secondary").first().click();
      await page.locator("[role=dialog] button[type=submit]").click();
      await page.locator("#main .pf-v6-c-alert .dolmen-code-full").waitFor();
    },
  },
  {
    name: "06-restart",
    options: { waits: "yes" },
    go: async (page) => {
      await page.goto(`${ORIGIN}/keys`);
      await page.locator("#main .pf-v6-c-alert button.pf-m-link").click();
      await page.locator("[role=dialog] .pf-v6-c-alert").waitFor();
    },
  },
  {
    name: "06-restart-waits",
    options: { waits: "yes" },
    go: async (page) => {
      await page.route("**/api/v1/restart", (route) => route.fulfill({ status: 202 }));
      await page.goto(`${ORIGIN}/keys`);
      await page.locator("#main .pf-v6-c-alert button.pf-m-link").click();
      await page.locator("[role=dialog] button[type=submit]").click();
      await page.locator("[role=dialog] .dolmen-waits").waitFor();
    },
  },
  at("07-acceleration", "/acceleration", "#main table"),
  {
    name: "07-acceleration-result",
    go: async (page) => {
      await page.goto(`${ORIGIN}/acceleration`);
      await page.locator("#main button.pf-m-primary").click();
      await page.locator(".dolmen-chart svg").first().waitFor();
    },
  },
  at("08-network", "/network", "#main form"),
  at("08-network-waits", "/network", "#main form", { waits: "yes" }),
  at("08-network-not-image", "/network", "#main .pf-v6-c-empty-state", { image: "no" }),
  at("09-updates", "/updates", "#main form"),
  at("09-updates-not-here", "/updates", "#main .pf-v6-c-empty-state", { features: "no" }),
  at("10-backup", "/backup", "#main table"),
  at("10-backup-waits", "/backup", "#main .pf-v6-c-alert", { waits: "yes" }),
  {
    name: "10-backup-put",
    go: async (page) => {
      await page.goto(`${ORIGIN}/backup`);
      await page.locator("#main table").first().waitFor();
      const files = ["manifest.json", "000009-blocks.zst.age", "holiday.jpg"];
      await page
        .locator("input[type=file]")
        .setInputFiles(
          files.map((name) => ({ name, mimeType: "application/octet-stream", buffer: Buffer.alloc(2_000) })),
        );
      await page.locator("#main .pf-v6-c-card").nth(1).locator("button.pf-m-primary").click();
      await page.locator("#main [role=alert]").waitFor();
    },
  },
  {
    name: "10-backup-restore",
    go: async (page) => {
      await page.goto(`${ORIGIN}/backup`);
      await page.locator("#main .pf-v6-c-card").nth(2).locator("button.pf-m-secondary").click();
      await page.locator("[role=dialog] input").fill("AGE-SECRET-KEY-1");
    },
  },
  at("11-logs", "/logs", "#main table"),
  at("12-users", "/users", "#main table"),
  {
    name: "12-users-add",
    go: async (page) => {
      await page.goto(`${ORIGIN}/users`);
      await page.locator("#main button.pf-m-primary").click();
      await page.locator("[role=dialog] input").first().fill("wang.fang");
      await page.locator("[role=dialog] button[type=submit]").click();
      await page.locator("[role=dialog] .dolmen-code-full").waitFor();
    },
  },
  at("12-tokens", "/users?tab=tokens", "#main table"),
  at("12-settings", "/users?tab=settings", "#main .dolmen-facts"),
  at("12-settings-waits", "/users?tab=settings", "#main form", { waits: "yes" }),
  at("12-settings-read-only", "/users?tab=settings", "#main form", { settings: "read-only" }),
  at("13-audit", "/audit", "#main table"),
  at("14-account", "/account", "#main form"),
  at("15-viewer", "/network", "#main form", { role: "viewer" }),
  at("15-unknown", "/nowhere", "#main button"),
];
