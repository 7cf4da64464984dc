// A box that is killed, as its own page and that of another box show it. Runs last: it takes a box from the devnet.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { after, before, test } from "node:test";
import { box, until } from "../lib/devnet.mjs";
import { above, assertClean, heading, launch, live, LOST, open, picture, rows, whole } from "./lib.mjs";
import { enter, keep, logIn } from "./users.mjs";

const { DOLMEN_BIN: program } = process.env;
const LAST = 3;

let browser;
before(async () => { browser = await launch(); });
after(async () => browser?.close());

/** Whether a process exists. */
function exists(pid) {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

const health = (page) => page.getByRole("region", { name: "Health and alarms", exact: true });
const heightOf = async (page) => whole(await page.locator(".dolmen-figures .dolmen-figure").first().textContent());
const stateOf = (page, name) => rows(page, "Peers").then((all) => all.find((row) => row.Name === name)?.State);

/** The dashboard of a box, before its security officer. */
async function dashboard(t, index) {
  const opened = await open(t, browser, index);
  const user = await enter(opened.context, index);
  await opened.goto("/");
  await live(opened.page);
  return { ...opened, user };
}

test("without the event stream the page says so, and goes on when asked", async (t) => {
  const { page } = await dashboard(t, 0);
  await page.route("**/api/v1/events", (route) => route.abort());
  await page.reload();
  await health(page).getByText("No connection to the box").first().waitFor();
  await health(page).getByText("Check that the box has power").waitFor();
  await page.unroute("**/api/v1/events");
  await health(page).getByRole("button", { name: "Try now", exact: true }).click();
  await live(page);
  const height = await heightOf(page);
  await above("the height", () => heightOf(page), height);
});

test("a box that is down: its page says how old its data is, the others miss it, and both go on when it is back", {
  skip: program ? false : "DOLMEN_BIN is not set",
}, async (t) => {
  const own = box(LAST);
  const other = await dashboard(t, 0);
  const { page, context, user, faults } = await dashboard(t, LAST);
  await until("the box among its peers", async () => (await stateOf(other.page, own.name)) === "Connected");
  const height = await above("the height", () => heightOf(page), 0);

  process.kill(own.pid, "SIGKILL");
  await health(page).getByText(/No connection to the box: what you see is from/).waitFor();
  assert.ok(await heightOf(page) >= height, "what was known stays on the page");
  assert.equal(await health(page).getByText(/Finalizing$/).count(), 0, "old news are not shown as good ones");
  await picture(page, "box-down");
  await until("the end of the killed box", () => !exists(own.pid));
  await until("the peer that is missed", async () => (await stateOf(other.page, own.name)) === "Not connected");
  const alarm = health(other.page).locator(".pf-v6-c-alert").filter({ hasText: "Finalizing with no spare validator" });
  await alarm.getByText(new RegExp(`Not connected: ${own.name} \\(.*3 of 4 validators are reachable`)).waitFor();
  await alarm.getByText("If one more is lost, finality stops. Check power and network of the missing boxes.").waitFor();
  const alone = await heightOf(other.page);
  await above("the height without it", () => heightOf(other.page), alone);
  await picture(other.page, "peer-down");

  // Ends with the pipe to its standard input, and so at the latest with this process.
  const again = spawn(program, ["run", "--stop-on-stdin-eof", "--config", own.config], {
    stdio: ["pipe", "ignore", "ignore"],
  });
  const ended = new Promise((resolve) => again.once("exit", resolve));
  t.after(async () => {
    again.stdin.end();
    await ended;
  });
  // Sessions end with the program that has them, so the page asks who is there.
  await heading(page, "Log in");
  await logIn(page, user);
  keep(LAST, user);
  await live(page);
  await above("the height", () => heightOf(page), height);
  await health(page).getByText(/Finalizing$/).waitFor();
  await until("the peer that is back", async () => (await stateOf(other.page, own.name)) === "Connected");
  await health(other.page).getByText(/Finalizing$/).waitFor();
  assert.deepEqual(faults.filter((one) => !LOST.test(one)), []);
  assert.ok((await context.cookies()).length > 0);
  await assertClean(other);
});
