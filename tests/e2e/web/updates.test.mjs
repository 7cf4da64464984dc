// An update on the page of a box that takes releases: what the box checks before it leaves a bundle to the system, and
// how the system's word about its slots shows. The system's own part needs a machine: the tests of images have one.

import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { box, until } from "../lib/devnet.mjs";
import { assertClean, facts, forgiveRestart, heading, launch, notice, open, picture } from "./lib.mjs";
import { press } from "./keyboard.mjs";
import { call, enter, keep, logIn } from "./users.mjs";

const RELEASE = process.env.DOLMEN_RELEASE;
/** Nobody else starts this box again. */
const BOX = 1;
const NEW = "9.1.0";

let browser;
before(async () => { browser = await launch(); });
after(async () => browser?.close());

const directory = dirname(box(BOX).config);
const spool = join(directory, "spool");
const report = join(directory, "slots.json");

/** What the system says of its slots. */
async function say(slots) {
  await writeFile(`${report}.new`, JSON.stringify(slots));
  await rename(`${report}.new`, report);
}

// Before anything is known of another one.
const SLOTS = { running: "9.0.0", tries_left: null, other: null, other_tries_left: null, refused: null };

test("a bundle is checked, taken in once and left to the system, whose slots show; and the way back", {
  skip: RELEASE ? false : "DOLMEN_RELEASE is not set",
}, async (t) => {
  const opened = await open(t, browser, BOX);
  const { page, context, goto } = opened;
  const officer = await enter(context, BOX);

  await goto("/updates");
  await heading(page, "Updates");
  await page.getByText("this box is not one of the image").first().waitFor();

  // The box is one that takes releases from its next start on, which the page brings about.
  await mkdir(spool, { recursive: true });
  await say(SLOTS);
  const settings = await readFile(box(BOX).config, "utf8");
  const update = `\n[update]\nspool = "spool"\nrelease_keys = "${join(RELEASE, "release.pem")}"\nreport = "slots.json"\n`;
  writeFileSync(box(BOX).config, settings + update);
  const csrf = (await call(context, BOX, "GET", "/session")).body.csrf_token;
  assert.equal((await call(context, BOX, "POST", "/restart", { csrf })).status, 202);
  await until("the box to be back without the session", async () => {
    const answer = await call(context, BOX, "GET", "/session").catch(() => null);
    return answer?.status === 401;
  });
  await page.reload();
  await logIn(page, officer);
  await page.getByText("9.0.0").first().waitFor();
  keep(BOX, { ...officer, cookies: await context.cookies() });
  assert.equal((await facts(page))["Other slot"], "Empty");

  const choose = async (name) => {
    const chooser = page.waitForEvent("filechooser");
    await press(page.getByRole("button", { name: "Choose a file", exact: true }));
    await (await chooser).setFiles(join(RELEASE, name));
  };
  const take = page.getByRole("button", { name: "Update", exact: true });
  await choose("damaged.bundle");
  await press(take);
  await page.getByRole("alert").getByText("bundle").first().waitFor();
  assert.equal(existsSync(join(spool, "incoming.bundle")), false, "the system gets nothing that is damaged");
  await choose("good.bundle");
  await press(take);
  await notice(page, `.*${NEW}.*`);
  assert.deepEqual(await readFile(join(spool, "incoming.bundle")), readFileSync(join(RELEASE, "good.bundle")));
  await picture(page, "update-waits");

  // The system applied it, and runs it on trial; then it is kept, and the version before is the other one.
  await rm(join(spool, "incoming.bundle"));
  await say({ ...SLOTS, running: NEW, tries_left: 2, other: "9.0.0" });
  await until("the trial on the page", async () => (await facts(page)).Running?.startsWith(`${NEW} (`));
  await say({ ...SLOTS, running: NEW, other: "9.0.0" });
  await until("the blessing on the page", async () => (await facts(page)).Running === NEW);
  await press(page.getByRole("button", { name: "Go back", exact: true }));
  await press(page.getByRole("dialog").getByRole("button", { name: "Go back", exact: true }));
  await until("the wish to go back", () => existsSync(join(spool, "rollback")));
  forgiveRestart(opened);
  await assertClean(opened, ["404 GET /api/v1/update", "422 POST /api/v1/update"]);
});
