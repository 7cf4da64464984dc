// What the console shows of the chain: the same as the box's API and its JSON-RPC say.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  createPublicClient, createWalletClient, defineChain, erc20Abi, formatEther, getAddress, http, parseEther,
} from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { contracts } from "../contracts/compile.mjs";
import { account, box, chainId, rpc, until } from "../lib/devnet.mjs";
import { above, assertClean, facts, heading, launch, live, look, open, origin, picture, rows, whole } from "./lib.mjs";
import { press, type } from "./keyboard.mjs";
import { enter } from "./users.mjs";

const PEERS = 3;
const SUPPLY = parseEther("1000000");
const SENT = parseEther("12.5");
const MARKUP = "<img src=x onerror=alert(1)>";
const STRANGER = "0x00000000000000000000000000000000000000A1";

const chain = defineChain({
  id: chainId, name: "devnet", nativeCurrency: { name: "Ether", symbol: "ETH", decimals: 18 },
  rpcUrls: { default: { http: [box(0).rpc] } },
});
const owner = privateKeyToAccount(account("web").private_key);
const reader = createPublicClient({ chain, transport: http(box(0).rpc), pollingInterval: 100 });
const wallet = createWalletClient({ account: owner, chain, transport: http(box(0).rpc) });

let browser;
before(async () => { browser = await launch(); });
after(async () => browser?.close());

/** A page of the security officer. */
async function inside(t, path, wait = live) {
  const opened = await open(t, browser, 0);
  await enter(opened.context, 0);
  await opened.goto(path);
  await wait(opened.page);
  return opened;
}

const mined = async (hash) => {
  const receipt = await reader.waitForTransactionReceipt({ hash, timeout: 30_000 });
  assert.equal(receipt.status, "success");
  return receipt;
};

async function deploy({ abi, bytecode }, args = []) {
  return getAddress((await mined(await wallet.deployContract({ abi, bytecode, args }))).contractAddress);
}

const figure = (page, name) =>
  page.locator(".dolmen-figures > div").filter({ hasText: name }).locator(".dolmen-figure");
const heightOf = async (page) => whole(await figure(page, /^Height/).textContent());
const newestRow = async (page) => whole((await rows(page, "Recent blocks"))[0].Height);
const contractShown = (page) => page.getByText("Contract", { exact: true }).first().waitFor();
const grid = (page, name) => page.getByRole("grid", { name, exact: true });

test("height and recent blocks advance while the dashboard is open", async (t) => {
  const opened = await inside(t, "/");
  const { page } = opened;
  const height = await above("the height", () => heightOf(page), 0);
  await above("the height", () => heightOf(page), height);
  const row = await newestRow(page);
  await above("the newest row", () => newestRow(page), row);
  const numbers = (await rows(page, "Recent blocks")).map((one) => whole(one.Height));
  assert.deepEqual(numbers, numbers.toSorted((a, b) => b - a), "rows stand newest first");
  assert.equal(new Set(numbers).size, numbers.length, "no block stands twice");
  assert.ok(await heightOf(page) <= (await look(0, "/status")).height, "no block is shown that the box has not");
  await assertClean(opened);
});

test("the dashboard shows the three other boxes, and the chain finalizing", async (t) => {
  const { page } = await inside(t, "/");
  const connected = figure(page, /^Peers/);
  await until("three connected peers", async () => (await connected.textContent()) === `${PEERS} / ${PEERS}`);
  const { peers } = await look(0, "/status");
  const shown = await rows(page, "Peers");
  assert.deepEqual(
    shown.map((row) => [row.Name, row.State, row.Role, row.Address]).sort(),
    peers.map((peer) => [peer.name, "Connected", "Validator", peer.address]).sort(),
  );
  const health = page.getByRole("region", { name: "Health and alarms", exact: true });
  await health.getByText(/Finalizing$/).waitFor();
  await health.getByText("Finality continues if up to 1 of 4 validators fail.").waitFor();
});

test("identity, machine and blocks of the dashboard are those of the box's API", async (t) => {
  const { page } = await inside(t, "/");
  await page.getByRole("button", { name: "Pause", exact: true }).click();
  // The box keeps some dozens of blocks, so its list is read at once.
  const status = await look(0, "/status");
  const reported = new Map(status.recent_blocks.map((block) => [block.number, block]));
  const common = (await rows(page, "Recent blocks")).filter((row) => reported.has(whole(row.Height)));
  assert.ok(common.length > 0, "at least one row is in the box's list");
  for (const row of common) {
    const block = reported.get(whole(row.Height));
    assert.equal(whole(row.Transactions), block.transactions);
    assert.equal(row.Proposer, block.proposer);
    assert.equal(row.Gas, new Intl.NumberFormat("en-GB", { style: "percent", maximumFractionDigits: 1 })
      .format(block.gas_used / block.gas_limit));
  }
  const shown = await facts(page);
  assert.equal(shown.Version, status.version);
  assert.equal(shown["Chain ID"], String(chainId));
  assert.equal(shown["JSON-RPC"], status.rpc_url);
  assert.equal(await page.locator(`#main code[title="${status.genesis_hash}"]`).count(), 1);
  const { cpus, tpm, memory } = await look(0, "/system");
  assert.match(shown.Load, new RegExp(`${cpus} CPUs?$`));
  assert.equal(shown.TPM, tpm === null ? "None" : `Present ${tpm.tcti}`);
  await page.getByText(`of ${(memory.total_bytes / 2 ** 30).toPrecision(3)} GiB available`).waitFor();
});

test("the list of blocks is what the chain has, at its head and before it", async (t) => {
  const listed = (page) => grid(page, "Recent blocks").locator("tbody tr").first().waitFor();
  const opened = await inside(t, "/blocks", listed);
  const { page, goto } = opened;
  await page.getByRole("button", { name: "Pause", exact: true }).click();
  const check = async (name, column) => {
    const shown = await rows(page, name);
    assert.ok(shown.length > 0);
    for (const row of shown.slice(0, 5)) {
      const block = await rpc(0, "eth_getBlockByNumber", [`0x${whole(row.Height).toString(16)}`, false]);
      assert.equal(whole(row.Transactions), block.transactions.length);
      assert.equal(await grid(page, name).locator(`code[title="${block.hash}"]`).count(), 1, row.Height);
      column?.(row, block);
    }
    return whole(shown.at(-1).Height);
  };
  await check("Recent blocks");
  await until("more blocks than a page has", async () => (await look(0, "/status")).height > 30);
  await goto("/blocks?before=30");
  await grid(page, "Blocks before 30").waitFor();
  const last = await check("Blocks before 30", (row, { miner }) => {
    assert.equal(row.Proposer.slice(0, 10).toLowerCase(), miner.slice(0, 10).toLowerCase());
  });
  assert.equal(last, 5);
  await page.getByRole("button", { name: "Older", exact: true }).click();
  await grid(page, "Blocks before 5").waitFor();
  assert.equal(await check("Blocks before 5"), 0, "the last page ends with the first block");
  assert.ok(await page.getByRole("button", { name: "Older", exact: true }).isDisabled());
  await assertClean(opened);
});

test("a transaction is found by its hash, and it, its block and its accounts are what JSON-RPC says", async (t) => {
  const receipt = await mined(await wallet.sendTransaction({ to: STRANGER, value: SENT }));
  const opened = await inside(t, "/blocks", (page) => page.getByRole("search").waitFor());
  const { page } = opened;
  await page.getByRole("searchbox").fill(` ${receipt.transactionHash.toUpperCase().replace("0X", "0x")} `);
  await page.getByRole("button", { name: "Find", exact: true }).click();
  await page.getByText("Succeeded", { exact: true }).waitFor();
  const transaction = await rpc(0, "eth_getTransactionByHash", [receipt.transactionHash]);
  const shown = await facts(page);
  assert.equal(shown.Hash, receipt.transactionHash);
  assert.equal(whole(shown.Block), Number(receipt.blockNumber));
  assert.equal(getAddress(shown.From), owner.address);
  assert.equal(getAddress(shown.To), getAddress(STRANGER));
  assert.equal(shown["Value (ether)"], formatEther(SENT));
  assert.equal(whole(shown.Nonce), Number(transaction.nonce));
  assert.equal(whole(shown["Gas used"].split(" / ")[0]), Number(receipt.gasUsed));
  await picture(page, "transaction");

  const number = receipt.blockNumber.toLocaleString("en-GB");
  await page.locator("#main").getByRole("link", { name: number, exact: true }).click();
  await heading(page, `Block ${number}`);
  const block = await rpc(0, "eth_getBlockByNumber", [`0x${receipt.blockNumber.toString(16)}`, true]);
  await page.getByText("State root", { exact: true }).waitFor();
  const ofBlock = await facts(page);
  assert.equal(ofBlock.Hash, block.hash);
  assert.equal(ofBlock["State root"], block.stateRoot);
  assert.equal(whole(ofBlock.Transactions), block.transactions.length);
  assert.equal(whole(ofBlock["Gas used"].split(" / ")[0]), Number(block.gasUsed));
  const row = (await rows(page, "Transactions"))[Number(receipt.transactionIndex)];
  assert.equal(row["Value (ether)"], formatEther(SENT));
  await picture(page, "block");

  await grid(page, "Transactions").getByRole("link").filter({ hasText: /^0x0{8}/ }).first().click();
  await page.getByText("Account of a key").waitFor();
  await page.getByText("Balance (ether)", { exact: true }).waitFor();
  const ofAccount = await facts(page);
  assert.equal(ofAccount.Address, STRANGER);
  assert.equal(ofAccount["Balance (ether)"], formatEther(await reader.getBalance({ address: STRANGER })));
  await assertClean(opened);
});

test("what is not on the chain, or nothing that can be looked for, is said with the next step", async (t) => {
  const { page } = await inside(t, "/blocks", (page) => page.getByRole("search").waitFor());
  for (const [text, words] of [[`0x${"ab".repeat(32)}`, "Not found on this chain"], ["?", "This is no height"]]) {
    await type(page.getByRole("searchbox"), text);
    await press(page.getByRole("button", { name: "Find", exact: true }));
    await page.getByRole("alert").getByText(words).first().waitFor();
  }
});

async function giveAbi(page, abi) {
  await page.locator("#abi").fill(JSON.stringify(abi));
  await page.locator("#main form button[type=submit]").click();
  await page.getByRole("tab", { name: "Read", exact: true }).waitFor();
}

test("a contract is read by its ABI, and its events are listed", async (t) => {
  const token = await deploy(contracts().Token, ["Console Token", "CON", SUPPLY]);
  const call = { address: token, abi: erc20Abi, functionName: "transfer", args: [STRANGER, SENT] };
  const transfer = await mined(await wallet.writeContract(call));
  const opened = await inside(t, `/accounts/${token}`, contractShown);
  const { page } = opened;
  await giveAbi(page, contracts().Token.abi);
  const ask = async (signature, ...args) => {
    const section = page.locator(".dolmen-function").filter({ hasText: signature });
    await press(section.getByRole("button", { name: signature }));
    for (const [index, value] of args.entries()) await type(section.locator("input").nth(index), value);
    await press(section.locator("button[type=submit]"));
    return section.locator("pre").textContent();
  };
  assert.equal(await ask("totalSupply()"), String(SUPPLY));
  assert.equal(await ask("name()"), "Console Token");
  assert.equal(await ask("balanceOf(address)", STRANGER), String(SENT));
  await press(page.getByRole("tab", { name: "Events", exact: true }));
  await grid(page, "Events").waitFor();
  const [newest, mint] = await rows(page, "Events");
  assert.deepEqual([newest.Name, mint.Name], ["Transfer", "Transfer"]);
  assert.equal(whole(newest.Height), Number(transfer.blockNumber));
  assert.deepEqual(JSON.parse(newest.Values), { from: owner.address, to: getAddress(STRANGER), value: String(SENT) });
  await picture(page, "contract-events");
  await assertClean(opened);
});

test("what somebody wrote onto the chain is shown as text", async (t) => {
  const { Probe } = contracts();
  const probe = await deploy(Probe);
  const call = { address: probe, abi: Probe.abi, functionName: "emitAll", args: [MARKUP, "0x", []] };
  await mined(await wallet.writeContract(call));
  const opened = await inside(t, `/accounts/${probe}`, contractShown);
  const { page } = opened;
  await giveAbi(page, Probe.abi);
  await press(page.getByRole("tab", { name: "Events", exact: true }));
  await page.getByText(MARKUP).waitFor();
  assert.equal(await page.locator("#main img").count(), 0);
  await assertClean(opened);
});
