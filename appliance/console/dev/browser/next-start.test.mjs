// What waits for the box's next start, and the restart itself, in the built console before the mock box.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { axe, launch, logIn, openPage, ORIGIN, reset, serve } from "./lib.mjs";
import { wizardTo } from "./screens.mjs";

const SECRET = `AGE-SECRET-KEY-1${"QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L".repeat(2).slice(0, 58)}`;
/** What a browser logs of a box that is away. */
const AWAY = /net::ERR_(EMPTY_RESPONSE|CONNECTION_RESET|CONNECTION_REFUSED|INCOMPLETE_CHUNKED_ENCODING)/;

let stop;
let browser;

before(async () => {
  stop = await serve();
  browser = await launch();
});

after(async () => {
  await browser?.close();
  stop?.();
});

async function open(t, options = {}, login = true) {
  await reset(options);
  const opened = await openPage(browser);
  t.after(() => opened.context.close());
  if (login) await logIn(opened.context);
  return opened;
}

const dialog = (page) => page.getByRole("dialog");
const confirm = (page, name) => dialog(page).getByRole("button", { name, exact: true }).click();
const assertClean = (faults) =>
  assert.deepEqual(
    faults.filter((fault) => !AWAY.test(fault)),
    [],
  );

/** Restarts the box by the button in an alert, and waits until the page is back. */
async function restart(page, alert) {
  await alert.getByRole("button", { name: "Restart the box" }).click();
  await dialog(page).getByText("The box ends in order").waitFor();
  await confirm(page, "Restart the box");
  await dialog(page).getByRole("heading", { name: "The box restarts" }).waitFor();
  await dialog(page).getByText("It starts; waiting for its answer.").waitFor();
  assert.deepEqual(await axe(page), []);
}

test("settings are checked, saved, and hold after a restart", async (t) => {
  const { page, faults } = await open(t);
  await page.goto(`${ORIGIN}/users?tab=settings`);
  const form = page.locator("#main form");
  await form.getByLabel("Name").fill(" ");
  await form.getByLabel("Traces (OTLP)").fill("collector:4318");
  await form.getByRole("button", { name: "Save" }).click();
  await form.getByText("A name has 1 to 64 characters.").waitFor();
  await form.getByText("Write it like https://collector.example:4318").waitFor();
  await form.getByLabel("Name").fill("alpha-one");
  await form.getByLabel("Traces (OTLP)").fill("http://collector.example:4318/");
  await form.getByLabel("Syslog server").fill("udp://log.example:0");
  await form.getByRole("button", { name: "Save" }).click();
  // What only the box knows it says.
  await page.getByRole("alert").getByText("The log cannot be sent to this address").waitFor();
  await form.getByLabel("Syslog server").fill("");
  const sent = page.waitForRequest((request) => request.method() === "PUT");
  await form.getByRole("button", { name: "Save" }).click();
  assert.deepEqual((await sent).postDataJSON(), { name: "alpha-one", traces: "http://collector.example:4318" });
  const alert = page.locator("#main .pf-v6-c-alert").filter({ hasText: "The settings wait for the next start" });
  await restart(page, alert);
  await page.getByText("The box has restarted").first().waitFor();
  await alert.waitFor({ state: "detached" });
  await page.locator(".pf-v6-c-masthead").getByText("alpha-one").waitFor();
  assert.equal(await dialog(page).count(), 0);
  assertClean(faults);
});

test("settings that belong to the system's administrator say so", async (t) => {
  const { page, faults } = await open(t, { settings: "read-only" });
  await page.goto(`${ORIGIN}/users?tab=settings`);
  await page.getByText("These settings are not changed here").waitFor();
  assert.ok(await page.getByLabel("Syslog server").isDisabled());
  assert.equal(await page.getByRole("button", { name: "Save" }).count(), 0);
  assertClean(faults);
});

test("keys are rotated, and a restart whose sessions are lost leads to the login", async (t) => {
  const { page, faults } = await open(t, { sessions: "lost" });
  await page.goto(`${ORIGIN}/keys`);
  const rotate = page.getByRole("button", { name: /^Rotate/ });
  await rotate.first().waitFor();
  assert.equal(await rotate.count(), 2, "the consensus key is not rotated");
  await page.getByRole("button", { name: "Rotate: TLS of this console" }).click();
  await dialog(page).getByText("The old key holds until the box's next start.").waitFor();
  await confirm(page, "Rotate");
  const alert = page.locator("#main .pf-v6-c-alert").filter({ hasText: "A new key waits for the next start" });
  await alert.getByText(/^([0-9A-F]{2}:){31}[0-9A-F]{2}$/).waitFor();
  await page.getByRole("button", { name: "Rotate: Signed answers to programs" }).click();
  await confirm(page, "Rotate");
  await alert.getByText("Signed answers to programs").waitFor();
  await restart(page, alert);
  await page.getByRole("heading", { name: "Log in" }).waitFor();
  assertClean(faults);
});

test("before a restart with another certificate the page says what the browser will do", async (t) => {
  const { page } = await open(t, { waits: "yes" });
  await page.goto(`${ORIGIN}/keys`);
  await page.getByRole("button", { name: "Restart the box" }).click();
  await dialog(page).getByText("The console gets a new certificate with this").waitFor();
});

test("a box that stays away is told from one that restarts", async (t) => {
  const { page } = await open(t, { waits: "yes" });
  await page.clock.install();
  await page.goto(`${ORIGIN}/users?tab=settings`);
  await page.getByRole("button", { name: "Restart the box" }).click();
  await page.route("**/api/v1/box", (route) => route.abort());
  await confirm(page, "Restart the box");
  await dialog(page).getByText("It starts; waiting for its answer.").waitFor();
  await page.clock.fastForward("02:05");
  await dialog(page).getByText("The box has not come back").waitFor();
  await page.unroute("**/api/v1/box");
  await dialog(page).getByRole("button", { name: "Wait longer" }).click();
  await page.clock.fastForward("00:06");
  await dialog(page).waitFor({ state: "detached" });
});

test("the certificate of the registrar is renewed", async (t) => {
  const { page, faults } = await open(t);
  await page.goto(`${ORIGIN}/keys`);
  const card = page.locator(".pf-v6-c-card").filter({ hasText: "The organisation's registrar" });
  await card.getByText("Ends within 7 days").waitFor();
  await card.getByRole("button", { name: "Renew certificate" }).click();
  await card.getByText("Valid", { exact: true }).waitFor();
  assertClean(faults);
});

test("a box that was set up with files has no certificate to renew", async (t) => {
  const { page } = await open(t, { provisioning: "no" });
  await page.goto(`${ORIGIN}/keys`);
  await page
    .getByRole("button", { name: /^Rotate/ })
    .first()
    .waitFor();
  await page.waitForLoadState("networkidle").catch(() => undefined);
  assert.equal(await page.getByRole("button", { name: "Renew certificate" }).count(), 0);
});

const file = (name, size = 1_000) => ({ name, mimeType: "application/octet-stream", buffer: Buffer.alloc(size, 7) });

test("the files of a backup are put in their order, up to the first problem", async (t) => {
  const { page, faults } = await open(t);
  const sent = [];
  page.on("request", (request) => {
    if (request.method() === "PUT") sent.push(decodeURIComponent(new URL(request.url()).pathname.split("/").at(-1)));
  });
  await page.goto(`${ORIGIN}/backup`);
  await page.getByRole("button", { name: "Choose files" }).waitFor();
  const chosen = ["manifest.json", "000009-blocks.zst.age", "000008-state.zst.age", "000008-x.age"];
  await page.locator("input[type=file]").setInputFiles(chosen.map((name) => file(name)));
  const files = page.getByRole("grid", { name: "Files to send" });
  await files.waitFor();
  await page.getByRole("button", { name: "Send", exact: true }).click();
  await page.getByRole("alert").getByText("This is no file of a backup").waitFor();
  assert.deepEqual(sent, ["000008-state.zst.age", "000008-x.age"]);
  await page.getByRole("button", { name: "Take off: 000008-x.age" }).click();
  await page.getByRole("button", { name: "Send", exact: true }).click();
  await files.waitFor({ state: "detached" });
  assert.deepEqual(sent.slice(2), ["000009-blocks.zst.age", "manifest.json"]);
  await page.getByRole("grid", { name: "Copies" }).getByText("8,000,000").waitFor();
  assertClean(faults);
});

test("a chain is restored with a secret key that the page does not keep, and is dropped", async (t) => {
  const { page, faults } = await open(t);
  await page.goto(`${ORIGIN}/backup`);
  await page.getByRole("button", { name: "Restore", exact: true }).click();
  const field = dialog(page).getByLabel("Secret key (age)");
  await field.fill("age1qqqq");
  await dialog(page).getByText("It begins with AGE-SECRET-KEY-1").waitFor();
  assert.ok(await dialog(page).getByRole("button", { name: "Restore" }).isDisabled());
  await field.fill(`# public key: age1qqqq ${SECRET.toLowerCase()}`);
  const sent = page.waitForRequest((request) => request.url().endsWith("/restore"));
  await confirm(page, "Restore");
  assert.deepEqual((await sent).postDataJSON(), { identity: SECRET });
  await page.getByRole("progressbar", { name: /Restoring/ }).waitFor();
  const alert = page.locator("#main .pf-v6-c-alert").filter({ hasText: "A restored chain waits" });
  await alert.waitFor();
  // Neither the page, nor what the browser keeps for it.
  const kept = await page.evaluate(
    () => document.documentElement.outerHTML + JSON.stringify({ ...localStorage, ...sessionStorage }),
  );
  assert.ok(!kept.toUpperCase().includes(SECRET));
  await page.getByRole("button", { name: "Restore", exact: true }).click();
  assert.equal(await field.inputValue(), "");
  await confirm(page, "Cancel");
  await alert.getByRole("button", { name: "Drop it" }).click();
  await confirm(page, "Drop it");
  await alert.waitFor({ state: "detached" });
  assertClean(faults);
});

test("the first run names the box, sets its network, and ends with a restart", async (t) => {
  const { page, faults } = await open(t, { claimed: "no" }, false);
  await wizardTo(page, "box");
  await page.getByLabel("Name of the box").fill("alpha-one");
  await page.getByRole("button", { name: "Continue" }).click();
  await page.getByLabel("Automatic (DHCP)").check();
  await page.getByLabel("Time servers (NTP)").fill("http://ntp");
  await page.getByRole("button", { name: "Save and continue" }).click();
  await page.getByText("Give up to 8 names or addresses.").waitFor();
  await page.getByLabel("Time servers (NTP)").fill("ntp1.example, 192.0.2.1");
  const sent = page.waitForRequest((request) => request.method() === "PUT" && request.url().endsWith("/network"));
  await page.getByRole("button", { name: "Save and continue" }).click();
  const { mode, ntp, address } = (await sent).postDataJSON();
  assert.deepEqual({ mode, ntp, address }, { mode: "dhcp", ntp: ["ntp1.example", "192.0.2.1"], address: undefined });
  await page.getByText("DLM-2026-0042").waitFor();
  await page.getByText("Alpha Bank").waitFor();
  await page.getByRole("button", { name: "Continue" }).click();
  await page.getByRole("heading", { name: "The box is yours" }).waitFor();
  await page.getByText("You stored them.").waitFor();
  await page.getByText("The settings wait for the machine's next start").waitFor();
  const alert = page.locator("main .pf-v6-c-alert").filter({ hasText: "The settings wait for the next start" });
  await restart(page, alert);
  await alert.waitFor({ state: "detached" });
  await page.getByRole("heading", { name: "The box is yours" }).waitFor();
  await page.getByRole("button", { name: "Open the console" }).click();
  await page.locator(".pf-v6-c-masthead").getByText("alpha-one").waitFor();
  assertClean(faults);
});

test("the first run passes over what this box does not have", async (t) => {
  const options = { claimed: "no", image: "no", provisioning: "no", settings: "read-only" };
  const { page, faults } = await open(t, options, false);
  await wizardTo(page, "codes");
  await page.getByLabel("I have stored the recovery codes").check();
  await page.getByRole("button", { name: "Continue" }).click();
  await page.getByText("The name is in box.toml").waitFor();
  await page.getByRole("button", { name: "Continue" }).click();
  await page.getByText("This box was set up with files").waitFor();
  await page.getByRole("button", { name: "Continue" }).click();
  await page.getByRole("heading", { name: "The box is yours" }).waitFor();
  const steps = await page
    .getByRole("list", { name: "Steps of the first run" })
    .getByRole("listitem")
    .allTextContents();
  assert.ok(!steps.some((step) => step.includes("Network")), "a step that was passed over is not listed");
  assertClean(faults);
});
