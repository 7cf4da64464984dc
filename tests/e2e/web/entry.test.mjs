// How one comes in: the first run of a box nobody has claimed, with the mouse and by the keyboard alone, and logins.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { box } from "../lib/devnet.mjs";
import { assertClean, field, heading, launch, live, look, open, origin, picture, submit } from "./lib.mjs";
import { goTo, press, type } from "./keyboard.mjs";
import { addAuthenticator, call, claimCode, enter, keep, logIn, nextCode, OFFICER } from "./users.mjs";

/** Boxes that these tests claim; a later run finds them claimed. */
const [BY_MOUSE, BY_KEYBOARD] = [1, 3];
const COOKIE = "__Host-dolmen-session";
const WRONG_CODE = "AAAA-BBBB-CCCC";
const REFUSED_CLAIM = "403 POST /api/v1/claim";
const REFUSED_LOGIN = "401 POST /api/v1/session";

let browser;
before(async () => { browser = await launch(); });
after(async () => browser?.close());

const cookieOf = async (context) => (await context.cookies()).find(({ name }) => name === COOKIE);
const isClaimed = async (page) => page.evaluate(async () => (await (await fetch("/api/v1/box")).json()).claimed);
const menu = (page) => page.getByRole("navigation", { name: "Main menu", exact: true });

/** By the keyboard. */
async function logOut(page, name) {
  await press(page.getByRole("button", { name: `${name}, Security officer`, exact: true }));
  await goTo(page.getByRole("menuitem", { name: "Log out", exact: true }), "ArrowDown");
  await page.keyboard.press("Enter");
  await heading(page, "Log in");
}

test("the first run leads from the claim code to the dashboard", async (t) => {
  const opened = await open(t, browser, BY_MOUSE);
  const { page, context, goto } = opened;
  await goto("/");
  if (await isClaimed(page)) return t.skip("the box was claimed by a run before");
  await heading(page, "Choose a language");
  await picture(page, "wizard-language");
  await submit(page);
  await field(page, "Claim code").fill(WRONG_CODE);
  await submit(page);
  await field(page, "User name").fill(OFFICER.name);
  await field(page, "New password").fill("short");
  await field(page, "New password again").fill("short");
  await submit(page);
  await page.getByText("This is shorter than 12 characters.").waitFor();
  for (const label of ["New password", "New password again"]) {
    await field(page, label).fill(OFFICER.password);
  }
  await submit(page);
  const alert = page.getByRole("alert");
  await alert.getByText("This is not the claim code").waitFor();
  await alert.getByText("Compare it with the box's own screen.").waitFor();
  assert.equal(await isClaimed(page), false);
  await picture(page, "wizard-wrong-code");

  await page.getByRole("button", { name: "Back", exact: true }).click();
  // As a person types it who looks at the screen.
  await field(page, "Claim code").fill(claimCode(BY_MOUSE).toLowerCase().replaceAll("-", " "));
  await submit(page);
  await submit(page);
  await heading(page, "Add a second factor");
  const pending = await cookieOf(context);
  assert.equal((await call(context, BY_MOUSE, "GET", "/status")).body.code, "pending-second-factor");
  const user = { ...OFFICER };
  await page.getByText("Passkeys cannot be used here").waitFor();
  await page.reload();
  await heading(page, "Add a second factor");
  await addAuthenticator(page, user);
  keep(BY_MOUSE, user);
  assert.notEqual((await cookieOf(context)).value, pending.value, "who knew the cookie before may do no more");
  // A devnet's box does not run from the image, so that its network is not asked for.
  await heading(page, "Name the box");
  await submit(page);
  await heading(page, "Where the box belongs");
  await page.reload();
  await heading(page, "Where the box belongs");
  await picture(page, "wizard-organisation");
  await submit(page);
  await heading(page, "The box is yours");
  await page.getByText(`${box(BY_MOUSE).name} (`).waitFor();
  await picture(page, "wizard-summary");
  await submit(page);
  await live(page);
  await menu(page).getByRole("link", { name: "Users and settings", exact: true }).waitFor();
  await picture(page, "dashboard");
  assert.equal(await isClaimed(page), true);
  keep(BY_MOUSE, { ...user, cookies: await context.cookies() });
  await assertClean(opened, [REFUSED_CLAIM]);
});

test("the first run needs no more than a keyboard", async (t) => {
  const opened = await open(t, browser, BY_KEYBOARD);
  const { page, goto } = opened;
  await goto("/");
  if (await isClaimed(page)) return t.skip("the box was claimed by a run before");
  const pressButton = (name) => press(page.getByRole("button", { name, exact: true }));
  const typeInto = (label, text) => type(field(page, label), text);
  await heading(page, "Choose a language");
  await pressButton("Continue");
  await typeInto("Claim code", claimCode(BY_KEYBOARD));
  await page.keyboard.press("Enter");
  await heading(page, "Create the first administrator");
  await typeInto("User name", OFFICER.name);
  await typeInto("New password", OFFICER.password);
  await typeInto("New password again", OFFICER.password);
  await page.keyboard.press("Enter");
  await heading(page, "Add a second factor");
  await pressButton("Continue");
  const user = { ...OFFICER, secret: await page.locator("main .dolmen-code-full").textContent() };
  await typeInto("Code from the app", await nextCode(user));
  await page.keyboard.press("Enter");
  await press(page.getByLabel("I have stored the recovery codes"), "Space");
  await pressButton("Continue");
  keep(BY_KEYBOARD, user);
  await heading(page, "Name the box");
  await pressButton("Continue");
  await heading(page, "Where the box belongs");
  await pressButton("Continue");
  await heading(page, "The box is yours");
  await pressButton("Open the console");
  await live(page);
  await assertClean(opened);
});

test("a login needs name, password and code, and gives a session that only this box's pages have", async (t) => {
  const opened = await open(t, browser, 0);
  const { page, context, goto } = opened;
  const user = await enter(context, 0);
  await goto("/");
  await live(page);
  const { csrf_token: csrf } = (await call(context, 0, "GET", "/session")).body;
  const earlier = { cookie: await cookieOf(context), csrf };
  await logOut(page, user.name);
  assert.equal(await cookieOf(context), undefined, "the browser keeps no cookie");
  await context.addCookies([earlier.cookie]);
  assert.equal((await call(context, 0, "GET", "/status")).body.code, "no-session", "the box keeps no session");

  await field(page, "User name").fill(user.name);
  await field(page, "Password").fill("not the right words");
  await submit(page);
  await page.getByRole("alert").getByText("Wrong user name, password or code").waitFor();
  await picture(page, "login-wrong");
  await field(page, "Password").fill(user.password);
  await submit(page);
  await heading(page, "Second factor");
  await field(page, "Code").fill("no-code");
  await submit(page);
  await page.getByRole("alert").getByText("Wrong user name, password or code").waitFor();
  await field(page, "Code").fill(await nextCode(user));
  await submit(page);
  await live(page);

  const cookie = await cookieOf(context);
  keep(0, { ...user, cookies: await context.cookies() });
  const { secure, httpOnly, sameSite, path, domain, expires } = cookie;
  assert.deepEqual({ secure, httpOnly, sameSite, path, expires }, {
    secure: true, httpOnly: true, sameSite: "Strict", path: "/", expires: -1,
  });
  assert.equal(domain, new URL(origin(0)).hostname);
  assert.equal(await page.evaluate(() => document.cookie), "", "scripts see no cookie");
  const { csrf_token } = (await call(context, 0, "GET", "/session")).body;
  assert.notEqual(cookie.value, earlier.cookie.value);
  assert.notEqual(csrf_token, earlier.csrf);
  await assertClean(opened, [REFUSED_LOGIN, "401 GET /api/v1/status"]);
});

test("a cookie that somebody else set is not the session of who logs in", async (t) => {
  const opened = await open(t, browser, 0);
  const { page, context, goto } = opened;
  const planted = "0123456789abcdef".repeat(4);
  const user = await enter(context, 0);
  await context.clearCookies();
  await context.addCookies([{
    name: COOKIE, value: planted, url: origin(0), secure: true, httpOnly: true, sameSite: "Strict",
  }]);
  await goto("/");
  await logIn(page, user);
  await live(page);
  assert.notEqual((await cookieOf(context)).value, planted);
  keep(0, { ...user, cookies: await context.cookies() });
  await assertClean(opened, [REFUSED_LOGIN]);
});

test("what changes something needs the session's CSRF token, and comes from the box's own page", async (t) => {
  const { context } = await open(t, browser, 0);
  await enter(context, 0);
  const csrf = (await call(context, 0, "GET", "/session")).body.csrf_token;
  const data = { language: "en" };
  const put = (more) => call(context, 0, "PUT", "/me/language", { data, ...more });
  assert.equal((await put({})).body.code, "csrf");
  assert.equal((await put({ csrf: "0".repeat(64) })).body.code, "csrf");
  const elsewhere = { origin: "https://elsewhere.example" };
  assert.equal((await put({ csrf, headers: elsewhere })).body.code, "other-origin");
  assert.equal((await put({ csrf, headers: { "sec-fetch-site": "cross-site" } })).body.code, "other-origin");
  assert.equal((await put({ csrf })).status, 204);
});

test("the page allows itself its own origin alone, and an answer of the API no page at all", async (t) => {
  const { context, goto } = await open(t, browser, 0);
  for (const path of ["/", "/blocks/17"]) {
    const response = await goto(path);
    const policy = response.headers()["content-security-policy"] ?? "";
    assert.match(policy, /default-src 'self'/);
    for (const rule of ["base-uri", "frame-ancestors", "form-action", "object-src"]) {
      assert.match(policy, new RegExp(`${rule} 'none'`));
    }
    assert.doesNotMatch(policy, /unsafe|\*|https?:|data:|blob:/);
    assert.equal(response.headers()["x-content-type-options"], "nosniff");
  }
  const { headers } = await call(context, 0, "GET", "/box");
  assert.match(headers["content-security-policy"], /default-src 'none'/);
  assert.equal(headers["cache-control"], "no-store");
});

test("the machine's own token looks at the box and changes nothing", async (t) => {
  const { context } = await open(t, browser, 0);
  assert.equal((await look(0, "/status")).name, box(0).name);
  await assert.rejects(look(0, "/users"), /403/);
  const none = await call(context, 0, "GET", "/status");
  assert.deepEqual([none.status, none.body.code], [401, "no-session"]);
  assert.match(none.headers["content-type"], /^application\/problem\+json/);
});
