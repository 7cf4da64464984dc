// The console of a running devnet's boxes in a real browser: pages that record what must not happen on them, users, and
// the box's own API to compare with.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { request } from "node:https";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";
import { box, until } from "../lib/devnet.mjs";

export const WAIT_MS = 30_000;
const BROWSER_ARGS = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
];
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const AXE_OPTIONS = { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"], resultTypes: ["violations"] };
/** The browser's own word for an answer that is no success; those are recorded by themselves. */
const REFUSAL_LOGGED = /^Failed to load resource: the server responded with a status of/;

export const origin = (index) => new URL(box(index).ui).origin;

export const launch = (...more) =>
  chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: [...BROWSER_ARGS, ...more],
  });

/**
 * A page of a box in a fresh profile. `faults` gets errors of the page and requests to anywhere else, which do not
 * leave the browser; `refused` gets the answers of the box that are no success, such as `404 GET /api/v1/inbox`.
 * With a `host` the box is asked by that name, and its certificate has to be one that the browser trusts.
 */
export async function open(t, browser, index, { width = 1280, theme = "light", language = "en", host } = {}) {
  const at = host === undefined ? origin(index) : `https://${host}:${new URL(origin(index)).port}`;
  const context = await browser.newContext({
    colorScheme: theme,
    ignoreHTTPSErrors: host === undefined,
    locale: language === "zh" ? "zh-CN" : "en-US",
    viewport: { width, height: width < 600 ? 844 : 900 },
  });
  t.after(() => context.close());
  const [faults, refused] = [[], []];
  await context.route((url) => url.origin !== at, (route) => {
    faults.push(`request to ${route.request().url()}`);
    return route.abort();
  });
  // What was chosen in this browser counts before what the user chose for good.
  await context.addInitScript((chosen) => {
    // An empty page has no storage.
    if (location.protocol === "about:") return;
    if (localStorage.getItem("dolmen.language") === null) localStorage.setItem("dolmen.language", chosen);
  }, language);
  const page = await context.newPage();
  page.setDefaultTimeout(WAIT_MS);
  page.on("console", (message) => {
    if (message.type() === "error" && !REFUSAL_LOGGED.test(message.text())) faults.push(message.text());
  });
  page.on("pageerror", (error) => faults.push(String(error)));
  page.on("dialog", (dialog) => faults.push(`a dialog: ${dialog.message()}`));
  page.on("response", (response) => {
    if (response.status() < 400) return;
    refused.push(`${response.status()} ${response.request().method()} ${new URL(response.url()).pathname}`);
  });
  const goto = (path) => page.goto(at + path);
  return { at, context, page, faults, refused, goto };
}

/** The paths that a box's API describes; the console asks for others, too, which an older box answers "not here". */
async function described({ page, at }) {
  const answer = await page.request.get(`${at}/api/v1/openapi.json`, { ignoreHTTPSErrors: true });
  return Object.keys((await answer.json()).paths);
}

/** What a browser logs where nobody listens, or an answer ends in the middle. */
export const LOST = /net::ERR_(CONNECTION_REFUSED|CONNECTION_RESET|INCOMPLETE_CHUNKED_ENCODING|EMPTY_RESPONSE)/;

/** Takes away what a page records while its box restarts: it is not there for a while, and then knows no session. */
export function forgiveRestart({ faults, refused }) {
  faults.splice(0, Infinity, ...faults.filter((one) => !LOST.test(one)));
  refused.splice(0, Infinity, ...refused.filter((one) => !one.startsWith("401 ")));
}

/** Who was not logged in asked for his session first; beyond that nothing was refused, and nothing went wrong. */
export async function assertClean(opened, allowed = []) {
  assert.deepEqual(opened.faults, []);
  const known = new Set(["401 GET /api/v1/session", ...allowed]);
  const paths = await described(opened);
  const absent = (one) => one.startsWith("404 GET /api/v1/") && !paths.includes(one.slice("404 GET ".length));
  assert.deepEqual(opened.refused.filter((one) => !known.has(one) && !absent(one)), []);
}

/** Takes the session's cookie away, with nothing on the page that could still ask for something. */
export async function loseSession({ page, context }) {
  await page.goto("about:blank");
  await context.clearCookies();
}

/** What the machine of a box may look at, over a connection that trusts the box's certificate alone. */
export function look(index, path) {
  const { certificate, token } = box(index);
  const ca = readFileSync(certificate);
  const headers = { authorization: `Bearer ${readFileSync(token, "utf8").trim()}` };
  return new Promise((resolve, reject) => {
    const asked = request(`${origin(index)}/api/v1${path}`, { ca, headers, timeout: WAIT_MS }, (answer) => {
      answer.setEncoding("utf8");
      let text = "";
      answer.on("data", (piece) => { text += piece; });
      answer.on("error", reject);
      answer.on("end", () => {
        if (answer.statusCode === 200) resolve(JSON.parse(text));
        else reject(new Error(`${path} was answered ${answer.statusCode}: ${text}`));
      });
    });
    asked.on("timeout", () => asked.destroy(new Error(`${path} was not answered`)));
    asked.on("error", reject);
    asked.end();
  });
}

/** Waits until `read` gives a value above `floor`, and returns it. */
export const above = (what, read, floor) =>
  until(`${what} above ${floor}`, async () => {
    const value = await read();
    return value > floor ? { value } : null;
  }).then(({ value }) => value);

export const whole = (text) => Number(text.replaceAll(/\D/g, "") || "-1");

/** The field of a label, which has a star where it must be filled. */
export const field = (page, label) => page.getByLabel(new RegExp(`^${label}\\W*$`));

/** Presses the form's own button. */
export const submit = (page) => page.locator("main button[type=submit]").click();

export const heading = (page, name) => page.getByRole("heading", { level: 1, name, exact: true }).waitFor();

/** The console behind the login, which hears its box. */
export async function live(page) {
  await page.locator(".dolmen-figures").waitFor();
  await page.locator("[role=status]").filter({ hasText: /^(Live|实时)$/ }).first().waitFor({ state: "attached" });
}

/** What the page tells of something that was done; before it stand words for screen readers. */
export const notice = (page, text) =>
  page.locator(".pf-m-toast").getByText(new RegExp(`:\\s*${text}$`)).first().waitFor();

/** A table's rows as texts by its columns' names, once there are any. */
export async function rows(page, name) {
  const grid = page.getByRole("grid", { name, exact: true });
  await grid.locator("tbody tr").first().waitFor();
  return grid.evaluate((table) => {
    const names = [...table.querySelectorAll("thead th")].map((cell) => cell.textContent);
    return [...table.querySelectorAll("tbody tr")].map((row) =>
      Object.fromEntries([...row.cells].map((cell, index) => [names[index], cell.textContent.trim()])),
    );
  });
}

/** The facts of a page, by their terms, once there are any. */
export async function facts(page) {
  const groups = page.locator("#main .dolmen-facts > div");
  await groups.first().waitFor();
  return groups.evaluateAll((all) => Object.fromEntries(all.map(
    (group) => [group.querySelector("dt").textContent.trim(), group.querySelector("dd").textContent.trim()],
  )));
}

/** What axe calls serious or critical, as lines. */
export async function axe(page) {
  // Injected by the debugger, which the page's policy does not bind; once for a document.
  if (!(await page.evaluate(() => "axe" in window))) await page.evaluate(AXE);
  const { violations } = await page.evaluate((options) => window.axe.run(document, options), AXE_OPTIONS);
  const bad = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
  return bad.flatMap(({ id, nodes }) => nodes.slice(0, 3).map(({ html }) => `${id}: ${html.slice(0, 160)}`));
}

/** Whether something on the page is wider than the page. */
export const overflows = (page) =>
  page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth + 1);

/** A picture in the folder that DOLMEN_SHOTS names, if it names one. */
export async function picture(page, name) {
  const folder = process.env.DOLMEN_SHOTS;
  if (!folder) return;
  await mkdir(folder, { recursive: true });
  await page.screenshot({ path: `${folder}/${name}.png` });
}
