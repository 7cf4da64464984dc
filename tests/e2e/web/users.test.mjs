// What one who manages users does, what a viewer may, and that nobody's name becomes markup.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, test } from "node:test";
import { until } from "../lib/devnet.mjs";
import { assertClean, field, heading, launch, live, loseSession, notice, open, picture, rows, submit } from "./lib.mjs";
import { press, type } from "./keyboard.mjs";
import { addAuthenticator, call, enter, logIn } from "./users.mjs";

const MARKUP = "<img src=x onerror=alert(1)>";
const OWN_PASSWORD = "seven quiet harbours";

let browser;
before(async () => { browser = await launch(); });
after(async () => browser?.close());

async function officer(t, path) {
  const opened = await open(t, browser, 0);
  await enter(opened.context, 0);
  await opened.goto(path);
  return opened;
}

/** Adds a user in the dialog, by the keyboard; returns the one-time password that it shows. */
async function addUser(page, name) {
  await press(page.getByRole("button", { name: "Add user", exact: true }));
  const dialog = page.getByRole("dialog");
  await type(field(dialog, "User name"), name);
  await press(dialog.getByRole("button", { name: "Add user", exact: true }));
  return dialog.locator(".dolmen-code-full").textContent();
}

test("a viewer chooses a password and a second factor, and sees and may what a viewer may", async (t) => {
  const name = `wang.fang-${randomBytes(3).toString("hex")}`;
  const of = await officer(t, "/users");
  const oneTime = await addUser(of.page, name);
  await picture(of.page, "one-time-password");
  await press(of.page.getByRole("button", { name: "I have stored it", exact: true }));
  const listed = () => rows(of.page, "Users").then((all) => all.find((row) => row["User name"] === name));
  await until("the new user in the list", async () => (await listed())?.Role === "Viewer");

  const opened = await open(t, browser, 0);
  const { page, context, goto } = opened;
  await goto("/");
  await field(page, "User name").fill(name);
  await field(page, "Password").fill(oneTime);
  await submit(page);
  await heading(page, "Choose a password");
  assert.equal((await call(context, 0, "GET", "/status")).body.code, "pending-password");
  const choose = async (password) => {
    await field(page, "One-time password").fill(oneTime);
    await field(page, "New password").fill(password);
    await field(page, "New password again").fill(password);
    await submit(page);
  };
  await choose("123456789012");
  await page.getByRole("alert").getByText("This password is too easy to guess").waitFor();
  await choose(OWN_PASSWORD);
  await heading(page, "Add a second factor");
  assert.equal((await call(context, 0, "GET", "/status")).body.code, "pending-second-factor");
  const user = { name, password: OWN_PASSWORD };
  await addAuthenticator(page, user);
  await live(page);
  const menu = page.getByRole("navigation", { name: "Main menu", exact: true });
  const links = await menu.getByRole("link").allTextContents();
  assert.ok(links.includes("Blocks") && links.includes("Keys and certificates"));
  for (const hidden of ["Users and settings", "Audit log", "Logs and support"]) {
    assert.ok(!links.includes(hidden), hidden);
  }
  await picture(page, "viewer");

  for (const path of ["/users", "/users?tab=tokens", "/audit"]) {
    await goto(path);
    await page.locator("#main").getByText("Your role may not do this").first().waitFor();
  }
  const { csrf_token: csrf } = (await call(context, 0, "GET", "/session")).body;
  const data = { name: "somebody", role: "viewer" };
  for (const [method, path, more] of [
    ["GET", "/users"], ["GET", "/tokens"], ["GET", "/audit"], ["POST", "/users", { data }],
    ["POST", "/tokens", { data: { ...data, days: 1 } }], ["DELETE", `/users/${name}`],
  ]) {
    const { status, body } = await call(context, 0, method, path, { csrf, ...more });
    assert.deepEqual([status, body.code], [403, "role-too-low"], `${method} ${path}`);
  }
  await assertClean(opened, [
    "403 GET /api/v1/users", "403 GET /api/v1/tokens", "403 GET /api/v1/audit", "400 PUT /api/v1/me/password",
  ]);

  // Who is kept out is out at once, also where his page is open.
  await press(of.page.getByRole("button", { name: `Edit: ${name}`, exact: true }));
  const dialog = of.page.getByRole("dialog");
  await press(dialog.getByLabel("May log in"), "Space");
  await press(dialog.getByRole("button", { name: "Save", exact: true }));
  await dialog.waitFor({ state: "detached" });
  await until("the user who is disabled", async () => (await listed()).State === "Disabled");
  await heading(page, "Log in");
  await press(of.page.getByRole("button", { name: `Remove: ${name}`, exact: true }));
  await press(dialog.getByRole("button", { name: "Remove", exact: true }));
  await until("the end of the row", async () => (await listed()) === undefined);
  await assertClean(of);
});

test("a name that is markup is refused as a name, and shown as text where somebody typed it", async (t) => {
  const opened = await officer(t, "/users");
  const { page, context, goto } = opened;
  await page.getByRole("button", { name: "Add user", exact: true }).click();
  await field(page.getByRole("dialog"), "User name").fill(MARKUP);
  await page.getByRole("dialog").getByRole("button", { name: "Add user", exact: true }).click();
  await page.getByRole("dialog").getByText("This is no name that the box takes").waitFor();
  // The audit log keeps what was typed at the door.
  const stranger = await open(t, browser, 0);
  const data = { name: MARKUP, password: "x".repeat(12) };
  const tried = await call(stranger.context, 0, "POST", "/session", { data });
  assert.deepEqual([tried.status, tried.body.code], [401, "wrong-credentials"]);
  await goto("/audit");
  await page.getByText(MARKUP).first().waitFor();
  assert.equal(await page.locator("#main img").count(), 0);
  await picture(page, "audit");
  const { entries } = (await call(context, 0, "GET", "/audit?limit=50")).body;
  const { target, outcome, code } = entries.find(({ action }) => action === "login");
  assert.deepEqual([target, outcome, code], [MARKUP, "refused", "wrong-credentials"]);
  await assertClean(opened, ["400 POST /api/v1/users"]);
});

test("the name of a box is text on every page that shows it", async (t) => {
  const opened = await open(t, browser, 0);
  const { context, page, goto } = opened;
  await enter(context, 0);
  const renamed = async (route) => {
    const answer = await route.fetch();
    await route.fulfill({ response: answer, json: { ...(await answer.json()), name: MARKUP } });
  };
  await page.route("**/api/v1/box", renamed);
  await goto("/");
  await live(page);
  await page.locator(".dolmen-box-name").getByText(MARKUP).waitFor();
  await goto("/users?tab=settings");
  await page.locator("#main").getByText(MARKUP).waitFor();
  await loseSession(opened);
  await goto("/");
  await heading(page, "Log in");
  await page.getByText(MARKUP).first().waitFor();
  assert.equal(await page.locator("img").count(), 0);
  await assertClean(opened);
});

test("an API token is shown once, looks as its role may, and ends", async (t) => {
  const name = `monitor-${randomBytes(3).toString("hex")}`;
  const opened = await officer(t, "/users?tab=tokens");
  const { page } = opened;
  await press(page.getByRole("button", { name: "Add token", exact: true }));
  await type(field(page.getByRole("dialog"), "Name"), name);
  await press(page.getByRole("dialog").locator("button[type=submit]"));
  const token = await page.getByRole("dialog").locator(".dolmen-code-full").textContent();
  assert.match(token, /^dolmen_/);
  const program = await open(t, browser, 0);
  const headers = { authorization: `Bearer ${token}` };
  assert.equal((await call(program.context, 0, "GET", "/status", { headers })).status, 200);
  assert.equal((await call(program.context, 0, "GET", "/users", { headers })).body.code, "role-too-low");
  assert.equal((await call(program.context, 0, "GET", "/session", { headers })).body.code, "session-needed");
  await press(page.getByRole("button", { name: "I have stored it", exact: true }));
  await press(page.getByRole("button", { name: new RegExp(`: ${name}$`) }));
  await press(page.getByRole("dialog").locator("button[type=submit]"));
  await page.getByRole("dialog").waitFor({ state: "detached" });
  assert.equal((await call(program.context, 0, "GET", "/status", { headers })).body.code, "no-token");
  await assertClean(opened);
});

test("a changed password is the one that counts, and the page goes on in the session that it brings", async (t) => {
  const name = `zhang.wei-${randomBytes(3).toString("hex")}`;
  const of = await officer(t, "/users");
  const oneTime = await addUser(of.page, name);
  const opened = await open(t, browser, 0);
  const { page, context, goto } = opened;
  const data = { name, password: oneTime };
  let { csrf_token: csrf } = (await call(context, 0, "POST", "/session", { data })).body;
  const chosen = { old_password: oneTime, new_password: OWN_PASSWORD };
  csrf = (await call(context, 0, "PUT", "/me/password", { data: chosen, csrf })).body.csrf_token;
  assert.match(csrf, /^[0-9a-f]{64}$/);
  await goto("/");
  const user = { name, password: OWN_PASSWORD };
  await addAuthenticator(page, user);
  await live(page);
  await goto("/account");
  await field(page, "Current password").fill(OWN_PASSWORD);
  user.password = "eight loud lanterns";
  await field(page, "New password").fill(user.password);
  await field(page, "New password again").fill(user.password);
  await page.getByRole("button", { name: "Change password", exact: true }).click();
  await notice(page, "The password was changed");
  // Something that changes the box goes through with the new session's CSRF token, and the stream begins again.
  const saved = page.waitForResponse((answer) => answer.url().endsWith("/me/language"));
  await page.getByLabel("简体中文", { exact: true }).click();
  assert.equal((await saved).status(), 204);
  await page.getByLabel("English", { exact: true }).click();
  await page.locator("[role=status]").filter({ hasText: /^Live$/ }).first().waitFor();
  await page.getByRole("button", { name: `${name}, Viewer`, exact: true }).click();
  await page.getByRole("menuitem", { name: "Log out", exact: true }).click();
  await heading(page, "Log in");
  await logIn(page, user);
  await heading(page, "My account");
  await assertClean(opened, ["401 POST /api/v1/session"]);
});
