// Boxes that wait for somebody to let them in, on the page of the box that is told of their registrar, all by the
// keyboard. Needs a devnet of --zero-touch, and two boxes of `add-box --wait`.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, test } from "node:test";
import { until } from "../../lib/devnet.mjs";
import { assertClean, field, launch, notice, open, picture, rows } from "../lib.mjs";
import * as keyboard from "../keyboard.mjs";
import { call, enter } from "../users.mjs";

const REASON = "not ours";
/** From the word of somebody to a vote: the box is appraised and certified, the chain admits it and an epoch ends. */
const JOINED_WITHIN_MS = 120_000;
const LET_IN = ["Image", "Appraised", "Certificate until", "Chain"];

let browser;
before(async () => { browser = await launch(); });
after(async () => browser?.close());

test("a box that waits is let in on the page and votes, another one is not, and the audit log has both", async (t) => {
  const opened = await open(t, browser, 0);
  const { page, context, goto } = opened;
  const { name: officer } = await enter(context, 0);
  const inbox = async () => (await call(context, 0, "GET", "/inbox")).body;
  const of = async (serial) => (await inbox()).find((one) => one.serial === serial);
  const waiting = await until("two boxes that wait", async () => {
    const found = (await inbox()).filter(({ standing }) => standing === "waiting");
    return found.length === 2 && found;
  });
  // The latest stands first.
  const [good, bad] = waiting.map(({ serial }) => serial);

  await goto("/consortium?tab=inbox");
  const card = (serial) => page.locator(".pf-v6-c-card").filter({
    has: page.getByRole("heading", { level: 2, name: serial, exact: true }),
  });
  const factsOf = (serial) => card(serial).locator(".dolmen-facts > div").evaluateAll((all) => Object.fromEntries(
    all.map((one) => [one.querySelector("dt").textContent.trim(), one.querySelector("dd").textContent.trim()]),
  ));
  const press = (scope, name) => keyboard.press(scope.getByRole("button", { name, exact: true }));
  for (const serial of [good, bad]) {
    await card(serial).waitFor();
    assert.equal((await factsOf(serial)).Standing, "Waits", serial);
  }
  await picture(page, "inbox-waiting");

  // Who runs a box does not decide who belongs to the consortium.
  const { csrf_token: csrf } = (await call(context, 0, "GET", "/session")).body;
  const data = { name: `runner-${randomBytes(3).toString("hex")}`, role: "operator", days: 1 };
  const { token } = (await call(context, 0, "POST", "/tokens", { csrf, data })).body;
  const stranger = await open(t, browser, 0);
  const headers = { authorization: `Bearer ${token}` };
  for (const [act, more] of [["approve", {}], ["decline", { data: { reason: REASON } }]]) {
    const { status, body } = await call(stranger.context, 0, "POST", `/inbox/${good}/${act}`, { headers, ...more });
    assert.deepEqual([status, body.code], [403, "role-too-low"], act);
  }
  assert.equal((await of(good)).standing, "waiting");

  const dialog = page.getByRole("dialog");
  await press(card(bad), "Decline");
  assert.ok(await dialog.getByRole("button", { name: "Decline", exact: true }).isDisabled(), "not without a reason");
  await keyboard.type(field(dialog, "Reason"), REASON);
  await press(dialog, "Decline");
  await notice(page, `${bad} was declined`);
  await press(card(good), "Approve");
  await dialog.getByText("Compare the serial number with the one on the box.").waitFor();
  await press(dialog, "Approve");
  await notice(page, `${good} was approved`);
  const decided = Date.now();

  const shown = await until("what the box has shown", async () => {
    const facts = await factsOf(good);
    return LET_IN.every((term) => facts[term]) && facts;
  }, JOINED_WITHIN_MS);
  const { report } = await of(good);
  assert.equal(shown.Standing, "Approved");
  assert.equal(shown["Voucher of its maker"], "Here");
  assert.equal(shown.Image, report.image);
  assert.equal(shown["Certificate until"], report.certificate_until);
  const kept = await factsOf(bad);
  assert.deepEqual([kept.Standing, kept.Reason, kept.Image], ["Declined", REASON, undefined]);
  assert.equal(await page.getByRole("button", { name: "Decline", exact: true }).count(), 0, "nobody waits any more");
  await picture(page, "inbox-decided");

  await goto("/consortium?tab=boxes");
  const listed = (name) => rows(page, "Boxes").then((all) => all.find((row) => row.Name === name));
  await until("the vote of the box", async () => {
    const row = await listed(good);
    return row?.Role === "Validator" && row.State === "Votes" && row;
  }, JOINED_WITHIN_MS);
  t.diagnostic(`the box votes ${((Date.now() - decided) / 1000).toFixed(1)} s after it was approved`);
  assert.equal((await listed(good)).Organisation, "alpha");
  assert.equal(await listed(bad), undefined);
  await picture(page, "inbox-joined");

  await goto("/audit");
  const written = (await rows(page, "Audit log")).map((row) => [row.Who, row.What, row.Outcome].join(", "));
  for (const [deed, serial, act] of [["Approved", good, "approve"], ["Declined", bad, "decline"]]) {
    assert.ok(written.includes(`${officer}, ${deed} a box /inbox/${serial}/${act}, Done`), written.join("\n"));
  }
  const { entries } = (await call(context, 0, "GET", "/audit?limit=50")).body;
  const refused = entries.filter((one) => one.who === `token:${data.name}`);
  assert.deepEqual(refused.map((one) => [one.action, one.target, one.code]), [
    ["decline-box", `/inbox/${good}/decline`, "role-too-low"], ["approve-box", `/inbox/${good}/approve`, "role-too-low"],
  ]);

  // What was said about a box can be taken back while it has no certificate.
  await goto("/consortium?tab=inbox");
  await press(card(bad), "Approve");
  await press(dialog, "Approve");
  await notice(page, `${bad} was approved`);
  await until("another standing", async () => (await factsOf(bad)).Standing === "Approved");
  await assertClean(opened);
});
