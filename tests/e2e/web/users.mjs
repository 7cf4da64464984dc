// Users of the boxes. Whoever claims a box writes down how its security officer logs in, beside the devnet's
// description, so that the files of this folder may run in any order, and one by one.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { box, sleep } from "../lib/devnet.mjs";
import { field, origin, submit } from "./lib.mjs";

export const OFFICER = { name: "li.na", password: "four unrelated words" };
const STEP_MS = 30_000;
const KEPT = join(dirname(process.env.DOLMEN_DEVNET ?? "."), "web-users.json");

export const claimCode = (index) => readFileSync(box(index).claim_code, "utf8").trim();

/** The code of a step (RFC 6238, with RFC 4226 §5.3). */
function codeOf(secret, step) {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  const bits = Array.from(secret, (one) => alphabet.indexOf(one).toString(2).padStart(5, "0")).join("");
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(step));
  const digest = createHmac("sha1", key).update(counter).digest();
  return String((digest.readUInt32BE(digest.at(-1) & 15) & 0x7fffffff) % 1_000_000).padStart(6, "0");
}

/** A user's next code. Each counts once, those of the step before and after as well, so that some wait for theirs. */
export async function nextCode(user) {
  const now = () => Math.floor(Date.now() / STEP_MS);
  const step = Math.max(now(), (user.step ?? 0) + 1);
  while (step > now() + 1) await sleep(200);
  user.step = step;
  return codeOf(user.secret, step);
}

const kept = () => (existsSync(KEPT) ? JSON.parse(readFileSync(KEPT, "utf8")) : {});

/** Writes down how the officer of a box logs in. */
export function keep(index, user) {
  const name = box(index).name;
  writeFileSync(`${KEPT}.new`, JSON.stringify({ ...kept(), [name]: user }), { mode: 0o600 });
  renameSync(`${KEPT}.new`, KEPT);
}

/** Goes through what a new user sees: an authenticator app and its recovery codes. */
export async function addAuthenticator(page, user) {
  await field(page, "Authenticator app").check();
  await submit(page);
  user.secret = await page.locator("main .dolmen-code-full").textContent();
  await field(page, "Code from the app").fill(await nextCode(user));
  await submit(page);
  const items = page.getByRole("list", { name: "Recovery codes" }).getByRole("listitem");
  await items.first().waitFor();
  const codes = await items.allTextContents();
  assert.equal(new Set(codes).size, 8, "eight recovery codes");
  user.codes = codes;
  await page.getByLabel("I have stored the recovery codes").check();
  await submit(page);
}

/** Logs in on the page as somebody who has an authenticator app. */
export async function logIn(page, user) {
  await field(page, "User name").fill(user.name);
  await field(page, "Password").fill(user.password);
  await submit(page);
  await field(page, "Code").fill(await nextCode(user));
  await submit(page);
}

/** One request of the API with the context's cookie, and the session's CSRF token where it is given. */
export async function call(context, index, method, path, { data, csrf, headers = {}, at = origin(index) } = {}) {
  const answer = await context.request.fetch(`${at}/api/v1${path}`, {
    method,
    ignoreHTTPSErrors: true,
    ...(data === undefined ? {} : { data }),
    headers: { ...headers, ...(csrf === undefined ? {} : { "X-CSRF-Token": csrf }) },
  });
  const text = await answer.text();
  return { status: answer.status(), body: text === "" ? null : JSON.parse(text), headers: answer.headers() };
}

async function claim(context, index) {
  const user = { ...OFFICER };
  const made = await call(context, index, "POST", "/claim", { data: { claim_code: claimCode(index), ...OFFICER } });
  assert.equal(made.status, 201, `${box(index).name} was claimed before, and not by these tests`);
  const csrf = made.body.csrf_token;
  const { body } = await call(context, index, "POST", "/me/totp", { csrf });
  user.secret = body.secret_base32;
  const totp = await nextCode(user);
  const confirmed = await call(context, index, "POST", "/me/totp/confirm", { csrf, data: { totp } });
  assert.equal(confirmed.status, 200, JSON.stringify(confirmed.body));
  return user;
}

/** Has a context bear the session of a box's security officer, and the box claimed where nobody has it. */
export async function enter(context, index) {
  const user = kept()[box(index).name] ?? (await claim(context, index));
  if (user.cookies) await context.addCookies(user.cookies);
  const has = await call(context, index, "GET", "/session");
  if (has.status !== 200 || has.body.pending !== null) {
    await context.clearCookies();
    const totp = await nextCode(user);
    const { status, body } = await call(context, index, "POST", "/session", {
      data: { name: user.name, password: user.password, totp },
    });
    assert.equal(status, 200, JSON.stringify(body));
  }
  user.cookies = await context.cookies();
  keep(index, user);
  return user;
}
