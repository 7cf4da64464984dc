// Backups that somebody makes and fetches on the page, and what they are for: the chain of a box, on another disk.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { devnet, height, rpc, until } from "../lib/devnet.mjs";
import { assertClean, field, launch, notice, open, picture, rows, whole } from "./lib.mjs";
import { press, type } from "./keyboard.mjs";
import { call, enter } from "./users.mjs";

const { DOLMEN_BIN: program } = process.env;
/** A key of the age library's own tests. */
const IDENTITY = "AGE-SECRET-KEY-1GQ9778VQXMMJVE8SK7J6VT8UJ4HDQAJUVSFCWCM02D8GEWQ72PVQ2Y5J33";
const RECIPIENT = "age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa";
const MANIFEST = "manifest.json";
const RESTORE_MS = 60_000;

let browser;
before(async () => { browser = await launch(); });
after(async () => browser?.close());

/** Has the browser fetch files of the page into a folder. */
async function fetchFiles(page, names, folder) {
  for (const name of names) {
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      press(page.getByRole("link", { name, exact: true })),
    ]);
    assert.equal(download.suggestedFilename(), name);
    await download.saveAs(join(folder, name));
  }
}

/** What `dolmen restore` makes of a folder's files, for a box that has no data. */
async function restore(folder, copies, name) {
  const [config, identity] = [join(folder, `${name}.toml`), join(folder, "key.txt")];
  await writeFile(identity, IDENTITY);
  await writeFile(config, [
    `name = "${name}"`, `genesis = "${devnet.genesis}"`, `data_dir = "${name}"`,
    "[p2p]", 'listen = "127.0.0.1:1"', "[rpc]", 'listen = "127.0.0.1:2"',
  ].join("\n"));
  const words = ["restore", "--json", "--from", copies, "--identity", identity, "--config", config];
  return JSON.parse((await promisify(execFile)(program, words, { timeout: RESTORE_MS })).stdout);
}

test("a full backup and one since, made and fetched on the page, are the box's chain when they are restored", {
  skip: program ? false : "DOLMEN_BIN is not set",
}, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "dolmen-backup-"));
  t.after(() => rm(folder, { recursive: true }));
  const copies = join(folder, "copies");
  await mkdir(copies);
  const opened = await open(t, browser, 0);
  const { page, context, goto } = opened;
  await enter(context, 0);
  await goto("/backup");

  /** Presses the button; the new copy as the page and the box's API have it, the page's files fetched and restored. */
  const backUp = async (name) => {
    const earlier = (await call(context, 0, "GET", "/backups")).body.backups.length;
    await press(page.getByRole("button", { name: "Back up now", exact: true }));
    await notice(page, "The backup is done");
    await until("the new copy in the list", async () => (await rows(page, "Copies")).length === earlier + 1);
    const [shown] = await rows(page, "Copies");
    const [copy] = (await call(context, 0, "GET", "/backups")).body.backups;
    assert.deepEqual(shown.Blocks.split(" – ").map(whole), [copy.from, copy.to]);
    assert.equal(shown.Recipients, RECIPIENT);
    await fetchFiles(page, [...copy.files.map((file) => file.name), MANIFEST], copies);
    const { head, hash } = await restore(folder, copies, name);
    const block = await rpc(0, "eth_getBlockByNumber", [`0x${copy.to.toString(16)}`, false]);
    assert.deepEqual({ head, hash }, { head: copy.to, hash: block.hash });
    return { copy, shown };
  };

  await type(field(page, "Recipients"), "age1nobody");
  await press(page.getByRole("button", { name: "Back up now", exact: true }));
  await page.getByRole("alert").getByText("age1nobody").waitFor();
  await type(field(page, "Recipients"), RECIPIENT);
  await press(page.getByLabel("Back up everything", { exact: true }), "Space");
  const full = await backUp("full");
  assert.deepEqual([full.shown.Kind, full.copy.from, full.copy.files.length], ["Full", 1, 2]);

  await until("blocks that are not in it", async () => (await height(0)) > full.copy.to + 2);
  // For the same recipients, where one names none.
  await type(field(page, "Recipients"), "");
  const since = await backUp("since");
  assert.deepEqual([since.shown.Kind, since.copy.from], ["Incremental", full.copy.to + 1]);
  await picture(page, "backups");
  const stranger = await open(t, browser, 0);
  assert.equal((await call(stranger.context, 0, "GET", `/backups/${MANIFEST}`)).body.code, "no-session");
  await assertClean(opened, ["422 POST /api/v1/backups"]);
});
