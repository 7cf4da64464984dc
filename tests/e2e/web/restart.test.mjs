// What is set on the page for a box's next start, and the restart that brings it about: its name, the key of the page, and
// the chain of a backup. All by the keyboard.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { height, until } from "../lib/devnet.mjs";
import { assertClean, field, forgiveRestart, heading, launch, notice, open, picture } from "./lib.mjs";
import { press, type } from "./keyboard.mjs";
import { call, enter, keep, logIn } from "./users.mjs";

/** A key of the age library's own tests. */
const IDENTITY = "AGE-SECRET-KEY-1GQ9778VQXMMJVE8SK7J6VT8UJ4HDQAJUVSFCWCM02D8GEWQ72PVQ2Y5J33";
const RECIPIENT = "age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa";
const NAME = "Box in room 7";
const BOX = 1;

let browser;
before(async () => { browser = await launch(); });
after(async () => browser?.close());

const dialog = (page) => page.getByRole("dialog");

test("name, key and restored chain wait for the next start, and hold after the page has restarted the box", async (t) => {
  const opened = await open(t, browser, BOX);
  const { page, context, goto } = opened;
  const officer = await enter(context, BOX);
  const csrf = (await call(context, BOX, "GET", "/session")).body.csrf_token;

  await goto("/users");
  await press(page.getByRole("tab", { name: "Settings", exact: true }));
  await type(field(page, "Syslog server"), "log.example:514");
  await type(field(page, "Name"), NAME);
  await press(page.getByRole("button", { name: "Save", exact: true }));
  await page.getByText("Write it like udp://log.example:514").waitFor();
  await type(field(page, "Syslog server"), "");
  await press(page.getByRole("button", { name: "Save", exact: true }));
  await notice(page, "The settings were saved");
  await page.getByText("The settings wait for the next start").first().waitFor();

  await goto("/keys");
  await press(page.getByRole("button", { name: "Rotate: TLS of this console", exact: true }));
  await press(dialog(page).getByRole("button", { name: "Rotate", exact: true }));
  await notice(page, "A new key waits for the next start");
  const shown = await page.getByText(/(?:[0-9A-F]{2}:){31}[0-9A-F]{2}/).first().textContent();
  const [fingerprint] = shown.match(/(?:[0-9A-F]{2}:){31}[0-9A-F]{2}/);
  await picture(page, "key-rotated");

  const made = await call(context, BOX, "POST", "/backups", { csrf, data: { recipients: [RECIPIENT], full: true } });
  assert.equal(made.status, 202, JSON.stringify(made.body));
  await until("the backup", async () => (await call(context, BOX, "GET", `/jobs/${made.body.job}`)).body.state === "done");
  await goto("/backup");
  await press(page.getByRole("button", { name: "Restore", exact: true }));
  await type(field(page, "Secret key \\(age\\)"), "AGE-SECRET-KEY-1");
  await dialog(page).getByText("It begins with AGE-SECRET-KEY-1").waitFor();
  await type(field(page, "Secret key \\(age\\)"), IDENTITY);
  await press(dialog(page).getByRole("button", { name: "Restore", exact: true }));
  await page.getByText("A restored chain waits for the next start").first().waitFor();
  await picture(page, "restored-waits");
  const { restored } = (await call(context, BOX, "GET", "/backups")).body;

  await press(page.getByRole("button", { name: "Restart the box", exact: true }));
  await dialog(page).getByText(fingerprint).waitFor();
  await press(dialog(page).getByRole("button", { name: "Restart the box", exact: true }));
  await dialog(page).getByText("The box restarts").first().waitFor();
  // Sessions end with the box.
  await heading(page, "Log in");
  await logIn(page, officer);
  await page.getByRole("button", { name: "Back up now", exact: true }).waitFor();
  keep(BOX, { ...officer, cookies: await context.cookies() });
  await page.getByText(NAME).first().waitFor();
  const keys = (await call(context, BOX, "GET", "/keys")).body;
  const tls = keys.find(({ use }) => use === "tls");
  assert.deepEqual([tls.certificate.fingerprint, tls.rotated], [fingerprint, false]);
  assert.equal((await call(context, BOX, "GET", "/backups")).body.restored, undefined);
  await until("what is newer than the backup", async () => (await height(BOX)) > restored.head);
  forgiveRestart(opened);
  await assertClean(opened);
});
