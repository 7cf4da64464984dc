// Passkeys of a real box with the browser's own authenticator: they belong to names, and an address has none.

import assert from "node:assert/strict";
import { createHash, randomBytes, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { box } from "../lib/devnet.mjs";
import { assertClean, field, heading, launch, live, loseSession, open, picture, rows } from "./lib.mjs";
import { press, type } from "./keyboard.mjs";
import { call, enter, nextCode } from "./users.mjs";

const PASSWORD = "nine patient lighthouses";
const PASSKEY = "laptop";
/** A device that always finds its owner there, and keeps keys itself. */
const AUTHENTICATOR = {
  protocol: "ctap2", transport: "internal", hasResidentKey: true, hasUserVerification: true, isUserVerified: true,
};

/** What a browser is told to trust a certificate that is its own issuer by: SHA-256 of its public key. */
function keyOf(certificate) {
  const { publicKey } = new X509Certificate(readFileSync(certificate));
  return createHash("sha256").update(publicKey.export({ type: "spki", format: "der" })).digest("base64");
}

let browser;
// Browsers have no passkeys where they only look away from a certificate.
before(async () => { browser = await launch(`--ignore-certificate-errors-spki-list=${keyOf(box(0).certificate)}`); });
after(async () => browser?.close());

/** A new viewer with an authenticator app, whose session a context bears at an address. */
async function newViewer(t, context, at) {
  const user = { name: `sun.li-${randomBytes(3).toString("hex")}`, password: PASSWORD };
  const of = await open(t, browser, 0);
  await enter(of.context, 0);
  const { csrf_token: own } = (await call(of.context, 0, "GET", "/session")).body;
  const data = { name: user.name, role: "viewer" };
  const { one_time_password: oneTime } = (await call(of.context, 0, "POST", "/users", { csrf: own, data })).body;
  const ask = async (method, path, csrf, body) => {
    const answer = await call(context, 0, method, path, { at, csrf, data: body });
    assert.ok(answer.status < 300, `${method} ${path}: ${JSON.stringify(answer.body)}`);
    return answer.body;
  };
  let session = await ask("POST", "/session", undefined, { name: user.name, password: oneTime });
  const chosen = { old_password: oneTime, new_password: PASSWORD };
  session = await ask("PUT", "/me/password", session.csrf_token, chosen);
  user.secret = (await ask("POST", "/me/totp", session.csrf_token)).secret_base32;
  await ask("POST", "/me/totp/confirm", session.csrf_token, { totp: await nextCode(user) });
  return user;
}

test("a passkey is registered, logs in without a password, and no more once it is removed", async (t) => {
  const opened = await open(t, browser, 0, { host: "localhost" });
  const { page, context, at, goto } = opened;
  const debug = await context.newCDPSession(page);
  await debug.send("WebAuthn.enable");
  const { authenticatorId } = await debug.send("WebAuthn.addVirtualAuthenticator", { options: AUTHENTICATOR });
  const held = async () => (await debug.send("WebAuthn.getCredentials", { authenticatorId })).credentials;
  const user = await newViewer(t, context, at);
  await goto("/account");
  await page.getByText("No passkeys", { exact: true }).waitFor();
  const dialog = page.getByRole("dialog");
  const add = { name: "Add passkey", exact: true };
  await press(page.getByRole("button", add));
  await type(field(dialog, "Name of the passkey"), PASSKEY);
  await press(dialog.getByRole("button", add));
  await dialog.waitFor({ state: "detached" });
  const [{ Passkey, "Last used": before }] = await rows(page, "Passkeys");
  assert.deepEqual([Passkey, before], [PASSKEY, "–"]);
  const [credential] = await held();
  assert.deepEqual([credential.rpId, credential.isResidentCredential], ["localhost", true]);
  await picture(page, "passkey");

  const logOut = async () => {
    await page.getByRole("button", { name: `${user.name}, Viewer`, exact: true }).click();
    await page.getByRole("menuitem", { name: "Log out", exact: true }).click();
    await heading(page, "Log in");
  };
  const logIn = page.getByRole("button", { name: "Log in with a passkey", exact: true });
  await logOut();
  // Nobody typed a name: the device knows whose key it is.
  await press(logIn);
  await heading(page, "My account");
  const [{ "Last used": used }] = await rows(page, "Passkeys");
  assert.notEqual(used, "–");
  assert.ok((await held())[0].signCount > credential.signCount, "the device signed");

  await page.getByRole("button", { name: `Remove: ${PASSKEY}`, exact: true }).click();
  await dialog.getByRole("button", { name: "Remove", exact: true }).click();
  await page.getByText("No passkeys", { exact: true }).waitFor();
  await logOut();
  await logIn.click();
  await page.getByRole("alert").getByText("The passkey is not one of this box").waitFor();
  assert.equal((await held()).length, 1, "the device still has its key, and the box does not take it");
  assert.equal((await call(context, 0, "GET", "/status", { at })).body.code, "no-session");
  await picture(page, "passkey-refused");
  await assertClean(opened, ["401 POST /api/v1/session/passkey/finish"]);
});

test("at a bare address the page says that passkeys need a name", async (t) => {
  const opened = await open(t, browser, 0);
  const { page, context, goto } = opened;
  await enter(context, 0);
  await goto("/account");
  await page.getByText("Passkeys need one of the box's host names as the address").waitFor();
  assert.equal(await page.getByRole("button", { name: "Add passkey", exact: true }).count(), 0);
  await goto("/users?tab=settings");
  await page.getByText("Need one of the host names instead of this address", { exact: true }).waitFor();
  const { csrf_token: csrf } = (await call(context, 0, "GET", "/session")).body;
  const asked = await call(context, 0, "POST", "/me/passkeys/start", { csrf, data: { name: PASSKEY } });
  assert.equal(asked.body.code, "passkey-host");
  await loseSession(opened);
  await goto("/");
  await heading(page, "Log in");
  assert.equal(await page.getByRole("button", { name: "Log in with a passkey", exact: true }).count(), 0);
  await assertClean(opened);
});
