// The page of a running box, in a real browser. DOLMEN_UI is the address of one box of a devnet of four. With
// DOLMEN_DEVNET (its devnet.json) and DOLMEN_BIN (the program) the last box is stopped and started again, too.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";

const WAIT_MS = 30_000;
const PEERS = 3;
const BROWSER_ARGS = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
];

const address = process.env.DOLMEN_UI;
assert.ok(address, "DOLMEN_UI is not set: give it the web address of a box of a running devnet");
const origin = new URL(address).origin;
const { DOLMEN_BIN: program, DOLMEN_DEVNET: devnet } = process.env;

let browser;

before(async () => {
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: BROWSER_ARGS });
});

after(async () => browser?.close());

/** Opens the page in a fresh English profile and records what must not happen on it. */
async function open(t, url = address, viewport = { width: 1440, height: 1000 }, script = () => {}, argument = null) {
  const context = await browser.newContext({ locale: "en-US", viewport });
  t.after(() => context.close());
  const page = await context.newPage();
  const faults = [];
  const requests = [];
  page.on("console", (message) => message.type() === "error" && faults.push(message.text()));
  page.on("pageerror", (error) => faults.push(error.message));
  page.on("request", (request) => requests.push(request.url()));
  page.setDefaultTimeout(WAIT_MS);
  await page.addInitScript(script, argument);
  const response = await page.goto(new URL("/", url).href);
  return { page, response, faults, requests };
}

/** In the page, before its own scripts: puts `fields` over those of each status that the box sends. */
function overStatus(fields) {
  window.statusFields = fields;
  const over = (status) => ({ ...status, ...window.statusFields });
  const { json } = Response.prototype;
  Response.prototype.json = async function () {
    return over(await json.call(this));
  };
  const { addEventListener } = EventSource.prototype;
  EventSource.prototype.addEventListener = function (name, listener) {
    const changed = (event) => listener({ data: JSON.stringify(over(JSON.parse(event.data))) });
    addEventListener.call(this, name, name === "status" ? changed : listener);
  };
}

/** The page with `fields` in the box's status. */
const openWith = (t, fields, viewport) => open(t, address, viewport, overStatus, fields);

const live = (page) => page.waitForSelector('body[data-conn="live"]');
const number = (text) => Number(text.replaceAll(/\D/g, "") || "-1");
const heightOf = async (page) => number(await page.textContent("#height"));
const newestRow = async (page) => number(await page.textContent("#blocks tr:first-child th"));

/** Waits until `read` gives a value above `floor`, and returns it. */
async function above(read, floor, what) {
  const end = Date.now() + WAIT_MS;
  for (;;) {
    const value = await read();
    if (value > floor) return value;
    assert.ok(Date.now() < end, `${what} stayed at ${value}, not above ${floor}, for ${WAIT_MS} ms`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

test("the page comes with a content security policy that allows its own origin alone", async (t) => {
  const { response } = await open(t);
  assert.equal(response.status(), 200);
  const policy = response.headers()["content-security-policy"] ?? "";
  assert.match(policy, /default-src 'self'/);
  assert.doesNotMatch(policy, /unsafe-inline|unsafe-eval|\*|https?:|data:/);
});

test("height and block rows advance while the page is open", async (t) => {
  const { page } = await open(t);
  await live(page);
  const height = await above(() => heightOf(page), 0, "height");
  await above(() => heightOf(page), height, "height");
  await page.waitForSelector("#blocks tr");
  const row = await newestRow(page);
  await above(() => newestRow(page), row, "newest row");
  const numbers = (await page.$$eval("#blocks tr th", (cells) => cells.map((cell) => cell.textContent))).map(number);
  assert.deepEqual(numbers, numbers.toSorted((a, b) => b - a), "rows stand newest first");
  assert.equal(new Set(numbers).size, numbers.length, "no block stands twice");
});

test("rows and identity show what the box's API reports", async (t) => {
  const { page } = await open(t);
  await live(page);
  await page.waitForSelector("#blocks tr");
  // Pausing fixes the rows; the box keeps 50 blocks, so read its list at once, before they leave it.
  const [status, rows] = await page.evaluate(async () => {
    document.querySelector("#pause").click();
    const answer = await (await fetch("/api/status")).json();
    const shown = [...document.querySelectorAll("#blocks tr")].map((row) => ({
      number: row.querySelector("th").textContent,
      transactions: row.children[2].textContent,
      proposer: row.children[6].textContent,
      hash: row.querySelector("code").title,
    }));
    return [answer, shown];
  });
  const reported = new Map(status.recent_blocks.map((block) => [block.number, block]));
  const common = rows.filter((row) => reported.has(number(row.number)));
  assert.ok(common.length > 0, "at least one row is still in the box's list");
  for (const row of common) {
    const block = reported.get(number(row.number));
    assert.equal(row.hash, block.hash);
    assert.equal(number(row.transactions), block.transactions);
    assert.equal(row.proposer, block.proposer);
  }
  assert.equal(await page.textContent("#name"), status.name);
  assert.equal(await page.textContent("#box-version"), status.version);
  assert.equal(await page.textContent("#box-chain"), String(status.chain_id));
  assert.equal(await page.getAttribute("#box-genesis code", "title"), status.genesis_hash);
});

test("the three other boxes are shown connected and the box as finalizing", async (t) => {
  const { page } = await open(t);
  await live(page);
  await page.waitForFunction(
    (count) => document.querySelectorAll('#peers tr[data-connected="true"]').length === count, PEERS,
  );
  assert.equal(await page.locator("#peers tr").count(), PEERS);
  await page.waitForSelector('#health[data-level="ok"]');
  assert.equal(await page.textContent("#health-title"), "Finalizing");
});

test("the Chinese choice changes headings and survives a reload", async (t) => {
  const { page } = await open(t);
  await live(page);
  assert.equal(await page.textContent("#h-blocks"), "Recent blocks");
  assert.equal(await page.getAttribute("html", "lang"), "en");
  await page.click('[data-lang="zh"]');
  for (const again of [false, true]) {
    if (again) await page.reload();
    await live(page);
    assert.equal(await page.textContent("#h-blocks"), "最近区块");
    assert.equal(await page.textContent("#h-peers"), "对等节点");
    assert.equal(await page.getAttribute("html", "lang"), "zh-CN");
    assert.equal(await page.getAttribute('[data-lang="zh"]', "aria-pressed"), "true");
  }
});

test("pausing holds the rows and resuming lets them go on", async (t) => {
  const { page } = await open(t);
  await live(page);
  await page.waitForSelector("#blocks tr");
  await page.click("#pause");
  const held = await newestRow(page);
  await above(async () => number(await page.textContent("#held")), 0, "count of newer blocks");
  assert.equal(await newestRow(page), held);
  await page.click("#pause");
  await above(() => newestRow(page), held, "newest row");
});

test("without the event stream the page says so, and recovers on request", async (t) => {
  const { page } = await open(t);
  await live(page);
  await page.route("**/api/events", (route) => route.abort());
  await page.reload();
  await page.waitForSelector('body[data-conn="lost"]');
  assert.equal(await page.getAttribute("#health", "data-level"), "bad");
  assert.equal(await page.textContent("#health-title"), "No connection to the box");
  assert.notEqual(await page.textContent("#health-next"), "");
  await page.unroute("**/api/events");
  await page.click("#retry");
  await live(page);
  await above(() => heightOf(page), 0, "height");
});

test("nothing is logged as an error and no request leaves the box", async (t) => {
  const { page, faults, requests } = await open(t);
  await live(page);
  const height = await heightOf(page);
  await above(() => heightOf(page), height, "height");
  await page.click('[data-lang="zh"]');
  await page.reload();
  await live(page);
  assert.deepEqual(faults, []);
  assert.ok(requests.some((url) => new URL(url).pathname === "/api/events"), "the page opened the event stream");
  assert.deepEqual(requests.filter((url) => new URL(url).origin !== origin), []);
});

const FAILING = {
  id: "votes_failing", cause: "the key gives no signature: <b id=html>the TPM</b> is not there", next: "connect it",
};
const FENCED = {
  id: "votes_fenced", cause: "votes up to view 65536 may have been signed", next: "look for it", until_view: 65536,
};
const STRANGE = { id: "disk_warm", cause: "the disk is at 80 degrees.", next: "let it cool" };
const HEX = "0123456789abcdef".repeat(4);
const KEYS = [
  { use: "consensus", uri: "tpm:consensus", algorithm: "ed25519", in: "device", public_key: HEX },
  {
    use: "tls", uri: `pkcs11:token=T;object=tls?module-path=/${"lib/".repeat(20)}p11.so`, algorithm: "p256",
    in: "memory", public_key: `02${HEX}`,
  },
];
const titled = (page, title) => page.waitForFunction(
  (wanted) => document.querySelector("#health-title").textContent === wanted, title,
);
const keyCells = (page) => page.$$eval("#keys tr", (rows) => rows.map(
  (row) => [...row.cells].map((cell) => cell.textContent),
));
const moreTitles = (page) => page.$$eval("#health-more h3", (titles) => titles.map((one) => one.textContent));
const change = (page, fields) => page.evaluate((given) => { window.statusFields = given; }, fields);

test("alarms of the box are its health, all of them, in both languages, and go when they end", async (t) => {
  const { page, faults } = await openWith(t, { alarms: [STRANGE, FAILING, FENCED] });
  await live(page);
  await titled(page, "This box casts no votes");
  assert.equal(await page.getAttribute("#health", "data-level"), "bad");
  assert.equal(await page.textContent("#health-cause"), `Its last vote was not signed: ${FAILING.cause}.`);
  assert.match(await page.textContent("#health-next"), /votes again by itself/);
  assert.equal(await page.locator("#html").count(), 0, "the box's text is no markup");
  assert.match(await page.textContent("#announce"), /^This box casts no votes; .+; The box raises an alarm$/);
  assert.deepEqual(await moreTitles(page), [
    "This box holds back its votes: another may vote with its key", "The box raises an alarm",
  ]);
  const [fenced, strange] = await page.$$eval("#health-more li", (items) => items.map((item) => item.innerText));
  assert.match(fenced, /view 65,536\.$/);
  assert.match(strange, /disk_warm: the disk is at 80 degrees\.\s+let it cool$/);

  await page.click('[data-lang="zh"]');
  await titled(page, "本机未在投票");
  assert.equal(await page.textContent("#health-cause"), `最近一次投票未能签名：${FAILING.cause}。`);
  assert.deepEqual(await moreTitles(page), ["本机暂停投票：可能有其他设备在用它的密钥投票", "本机发出告警"]);

  await page.click('[data-lang="en"]');
  await change(page, { alarms: [STRANGE] });
  await titled(page, "The box raises an alarm");
  assert.equal(await page.getAttribute("#health", "data-level"), "warn");
  await change(page, { alarms: [] });
  await titled(page, "Finalizing");
  assert.ok(await page.isHidden("#health-more"));
  assert.deepEqual(faults, []);
});

test("an alarm is worse than a missing peer and less than a chain that stands still; both are shown", async (t) => {
  const peers = await (await fetch(new URL("/api/status", address))).json().then((status) => status.peers);
  const [first, ...others] = peers.map((peer) => ({ ...peer, connected: true, role: "validator" }));
  const { page } = await openWith(t, { alarms: [FAILING], peers: [{ ...first, connected: false }, ...others] });
  await live(page);
  await titled(page, "This box casts no votes");
  assert.deepEqual(await moreTitles(page), ["Finalizing with no spare validator"]);
  await change(page, { alarms: [FAILING], peers: [], syncing: true });
  await titled(page, "Catching up, but no peer is connected");
  assert.deepEqual(await moreTitles(page), ["This box casts no votes"]);
  await page.route("**/api/events", (route) => route.abort());
  await page.reload();
  await titled(page, "No connection to the box");
  assert.ok(await page.isHidden("#health-more"));
});

test("the keys of the box are listed, on a narrow screen too, and without any there is no panel", async (t) => {
  const { page, faults } = await openWith(t, { keys: KEYS }, { width: 390, height: 844 });
  await live(page);
  await page.waitForSelector("#keys tr");
  assert.deepEqual(await keyCells(page), [
    ["Consensus", "tpm:consensus", "ed25519", "Device", "012345…abcdef"],
    ["Page (TLS)", KEYS[1].uri, "p256", "Memory", "020123…abcdef"],
  ]);
  assert.equal(await page.getAttribute("#keys code[title]", "title"), KEYS[0].public_key);
  assert.ok(await page.getByRole("button", { name: "Copy public key for Consensus" }).isVisible());
  const [wide, shown] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(wide <= shown, `the page is ${wide} px wide on a screen of ${shown}`);
  await page.click('[data-lang="zh"]');
  assert.equal(await page.textContent("#h-keys"), "密钥");
  const chinese = (await keyCells(page)).map(([use, , , place]) => [use, place]);
  assert.deepEqual(chinese, [["共识", "设备"], ["网页（TLS）", "内存"]]);
  await change(page, { keys: [] });
  await page.waitForSelector("#keys-panel", { state: "hidden" });
  assert.deepEqual(faults, []);
});

test("alarms and keys that are not what they should be take nothing else from the page", async (t) => {
  const { page, faults } = await openWith(t, {
    alarms: [null, 7, {}, { id: "constructor", cause: 1 }, { id: "votes_fenced", until_view: "x" }],
    keys: [null, "key", { use: ["tls"], uri: 3 }, { use: "__proto__", in: "toString", public_key: "<i>" }],
  });
  await live(page);
  await titled(page, "This box holds back its votes: another may vote with its key");
  assert.deepEqual(await moreTitles(page), ["The box raises an alarm", "The box raises an alarm"]);
  assert.deepEqual(await keyCells(page), [["–", "–", "–", "–", "–"], ["__proto__", "–", "–", "toString", "<i>"]]);
  await change(page, { alarms: "none", keys: { length: 3 } });
  await titled(page, "Finalizing");
  await page.waitForSelector("#keys-panel", { state: "hidden" });
  await above(() => heightOf(page), await heightOf(page), "height");
  assert.deepEqual(faults, []);
});

/** Whether a process exists. */
function exists(pid) {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

// Last, since it takes a box from the devnet.
test("while the box is down the page says how old its data is, and goes on by itself when the box is back", {
  skip: !program || !devnet ? "DOLMEN_BIN and DOLMEN_DEVNET are not both set" : false,
}, async (t) => {
  const own = JSON.parse(readFileSync(devnet, "utf8")).boxes.at(-1);
  const { page } = await open(t, own.ui);
  await live(page);
  const height = await above(() => heightOf(page), 0, "height");

  process.kill(own.pid, "SIGKILL");
  await page.waitForSelector('body[data-conn="lost"]');
  assert.equal(await page.getAttribute("#health", "data-level"), "bad");
  assert.match(await page.textContent("#health-title"), /^No live data from the box: what you see is .+ old$/);
  assert.ok(await heightOf(page) >= height, "what was known stays on the page");
  await above(async () => (exists(own.pid) ? 0 : 1), 0, "the end of the killed box");

  // Ends with the pipe to its standard input, and so at the latest with this process.
  const box = spawn(program, ["run", "--stop-on-stdin-eof", "--config", own.config], {
    stdio: ["pipe", "ignore", "ignore"],
  });
  const ended = new Promise((resolve) => box.once("exit", resolve));
  t.after(async () => {
    box.stdin.end();
    await ended;
  });
  await live(page);
  await above(() => heightOf(page), height, "height");
  await page.waitForSelector('#health[data-level="ok"]');
  assert.equal(await page.textContent("#health-title"), "Finalizing");
});
