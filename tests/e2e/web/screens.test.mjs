// Every screen of the console in both languages, at two widths, light and dark: no error, no request elsewhere, nothing
// wider than the window, nothing that axe calls serious, nothing that needs a mouse. And what the first screen weighs.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { account, box, rpc, until } from "../lib/devnet.mjs";
import { assertClean, axe, heading, launch, live, look, open, origin, overflows, picture, submit } from "./lib.mjs";
import { beyondKeyboard } from "./keyboard.mjs";
import { call, enter } from "./users.mjs";

const WEIGHT_MAX = 1.5e6;
/** Larger files are worth compressing. */
const PLAIN_MAX = 2_000;
/** A box that nobody claims, for what one meets before. */
const UNCLAIMED = 2;
const ABSENT = { en: "This box does not have this", zh: "本一体机没有此项" };

const VARIANTS = [
  { width: 1280, theme: "light", language: "en" },
  { width: 390, theme: "dark", language: "en" },
  { width: 390, theme: "light", language: "zh" },
  { width: 1280, theme: "dark", language: "zh" },
];

const PATHS = [
  "/", "/blocks", "/blocks?before=20", "/blocks/1", "/blocks/99999999999", "/transactions/0x12",
  `/transactions/0x${"0".repeat(64)}`, `/accounts/${account("web").address}`, "/consortium", "/consortium?tab=boxes",
  "/consortium?tab=validators", "/consortium?tab=proposals", "/consortium?tab=inbox", "/keys", "/acceleration",
  "/network", "/updates", "/backup", "/logs", "/users", "/users?tab=tokens", "/users?tab=settings", "/audit",
  "/account", "/nowhere",
];
/** What a screen asks the box for that an older one has not. */
const NEEDS = {
  "/consortium": "/consortium", "/acceleration": "/acceleration", "/network": "/network", "/updates": "/update",
  "/backup": "/backups", "/logs": "/logs",
};

/** EIP-2935's contract, which each Dolmen chain has from its first block. */
const CONTRACT = "0x0000F90827F1C53a10cb7A02335B175320002935";

let browser;
before(async () => {
  browser = await launch();
  assert.notEqual(await rpc(0, "eth_getCode", [CONTRACT, "latest"]), "0x");
});
after(async () => browser?.close());

const settled = async (page) => {
  await page.locator("h1").first().waitFor();
  const spinners = page.locator("main .pf-v6-c-spinner");
  await until("the end of loading", async () => (await spinners.count()) === 0);
};

/** Has the page's own router go to a screen, and waits until its heading is there. */
async function route(page, path) {
  await page.evaluate((to) => {
    for (const one of document.querySelectorAll("h1")) one.dataset.before = "";
    history.pushState(null, "", to);
    dispatchEvent(new PopStateEvent("popstate"));
  }, path);
  await page.locator("h1:not([data-before])").first().waitFor();
}

/** The same by way of another screen, so that those which share a part of the page are made anew, too. */
async function visit(page, path) {
  const { pathname } = new URL(page.url());
  await route(page, ["/account", "/keys", "/audit"].find((one) => one !== path && one !== pathname));
  await route(page, path);
}

/** What is wrong with the screen that the page shows. */
async function faultsOf(page) {
  const failed = await page.getByText(/^(This part of the console could not be shown|无法显示此页面)$/).count();
  return [
    ...(await axe(page)),
    ...((await overflows(page)) ? ["the page is wider than the window"] : []),
    ...(failed > 0 ? ["the screen failed"] : []),
  ];
}

const labelOf = ({ width, theme, language }) => `${width}-${theme}-${language}`;
const fileOf = (path) => path.replaceAll(/\W+/g, "-").replaceAll(/^-|-$/g, "").slice(0, 40) || "dashboard";

for (const variant of VARIANTS) {
  test(`every screen behind the login, ${labelOf(variant)}`, async (t) => {
    const opened = await open(t, browser, 0, variant);
    const { page, context, goto, faults } = opened;
    await enter(context, 0);
    const wrong = {};
    for (const path of [...PATHS, `/accounts/${CONTRACT}`]) {
      // Each by its address once; after that as one gets there on the page, which takes half the time.
      if (variant === VARIANTS[0] || path === PATHS[0]) await goto(path);
      else await visit(page, path);
      await settled(page);
      if (path === "/") {
        await live(page);
        const language = variant.language === "zh" ? "zh-CN" : "en";
        assert.equal(await page.evaluate(() => document.documentElement.lang), language);
      }
      const found = [...(await faultsOf(page)), ...faults.splice(0)];
      if (variant === VARIANTS[0]) found.push(...(await beyondKeyboard(page)));
      const needs = NEEDS[path];
      if (needs && (await call(context, 0, "GET", needs)).status === 404) {
        const said = await page.getByText(ABSENT[variant.language]).count();
        if (said === 0) found.push("it does not say what is absent");
      }
      if (found.length > 0) wrong[path] = found;
      await picture(page, `${fileOf(path)}-${labelOf(variant)}`);
    }
    assert.deepEqual(wrong, {});
    // Each box says so of what it is not.
    await assertClean(opened, ["404 GET /api/v1/inbox", "404 GET /api/v1/update", "404 GET /api/v1/backups"]);
  });

  test(`every screen before the login, ${labelOf(variant)}`, async (t) => {
    const wrong = {};
    const check = async ({ page, faults }, name) => {
      const found = [...(await faultsOf(page)), ...faults.splice(0)];
      if (variant === VARIANTS[0]) found.push(...(await beyondKeyboard(page)));
      if (found.length > 0) wrong[name] = found;
      await picture(page, `${name}-${labelOf(variant)}`);
    };
    const first = await open(t, browser, UNCLAIMED, variant);
    await first.goto("/");
    await settled(first.page);
    assert.equal((await call(first.context, UNCLAIMED, "GET", "/box")).body.claimed, false);
    await check(first, "first-run-language");
    await submit(first.page);
    await first.page.locator("main input[placeholder]").fill("AAAA-BBBB-CCCC");
    await check(first, "first-run-claim");
    await submit(first.page);
    await first.page.locator("input[autocomplete=username]").waitFor();
    await check(first, "first-run-administrator");

    const login = await open(t, browser, 0, variant);
    // So that somebody has the box.
    await enter(login.context, 0);
    await login.context.clearCookies();
    await login.goto("/");
    await login.page.locator("input[autocomplete=username]").fill("nobody");
    await login.page.locator("input[autocomplete=current-password]").fill("not the right words");
    await submit(login.page);
    await login.page.getByRole("alert").waitFor();
    await check(login, "login-wrong");
    await login.page.locator(".dolmen-aside").click();
    await login.page.locator("main button.pf-m-danger").waitFor();
    await check(login, "recovery");
    assert.deepEqual(wrong, {});
    await assertClean(first);
    await assertClean(login, ["401 POST /api/v1/session"]);
  });
}

test("the words of a page are the language's own, and a choice of language stays", async (t) => {
  const { page, context, goto } = await open(t, browser, 0, { language: "zh" });
  await enter(context, 0);
  await goto("/");
  await live(page);
  assert.match(await page.locator("h1").first().textContent(), /\p{Script=Han}/u);
  await goto("/account");
  const saved = page.waitForResponse((answer) => answer.url().endsWith("/me/language"));
  await page.getByLabel("English", { exact: true }).click();
  await saved;
  await heading(page, "My account");
  await page.reload();
  await heading(page, "My account");
});

test("all that comes before the dashboard shows weighs little, and is compressed", async (t) => {
  const { page, context, goto } = await open(t, browser, 0);
  await enter(context, 0);
  // To look at each request takes longer than the box does to answer it.
  await context.unrouteAll();
  const debug = await context.newCDPSession(page);
  await debug.send("Network.enable");
  const weights = new Map();
  debug.on("Network.loadingFinished", ({ requestId, encodedDataLength }) => weights.set(requestId, encodedDataLength));
  const plain = [];
  page.on("response", (response) => {
    if (!/\.(js|css)$/.test(new URL(response.url()).pathname)) return;
    const { "content-encoding": encoding, "content-length": length } = response.headers();
    if (encoding !== "br" && !(Number(length) < PLAIN_MAX)) plain.push(response);
  });
  const begun = Date.now();
  await goto("/");
  await page.locator("h1").first().waitFor();
  const headed = Date.now() - begun;
  await live(page);
  const shown = Date.now() - begun;
  await page.locator(".dolmen-chart svg").first().waitFor();
  const all = Date.now() - begun;
  const weight = [...weights.values()].reduce((sum, one) => sum + one, 0);
  const paint = await page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? NaN);
  const kB = (bytes) => `${(bytes / 1000).toFixed(0)} kB`;
  t.diagnostic(`${weights.size} answers, ${kB(weight)} until the dashboard shows`);
  t.diagnostic(`first paint ${paint.toFixed(0)} ms, heading ${headed} ms, live figures ${shown} ms, chart ${all} ms`);
  assert.ok(weights.size > 5, "what came was weighed");
  assert.ok(weight <= WEIGHT_MAX, `${weight} bytes are more than ${WEIGHT_MAX}`);
  assert.deepEqual(plain.map((response) => response.url()), [], "sent without brotli");
});

test("the box's own description of its API is what its page finds", async (t) => {
  const { context } = await open(t, browser, 0);
  const answer = await context.request.get(`${origin(0)}/api/v1/openapi.json`);
  const { openapi, paths } = await answer.json();
  assert.match(openapi, /^3\.1/);
  for (const path of ["box", "session", "status", "events", "users", "rpc"]) assert.ok(paths[`/api/v1/${path}`], path);
  assert.equal((await look(0, "/status")).name, box(0).name);
});
