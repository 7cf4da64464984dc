// What a person does over several screens, in the built console before the mock box.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch, logIn, openPage, ORIGIN, reset, serve } from "./lib.mjs";
import { totp } from "./screens.mjs";

const TOKEN = "0x5FbDB2315678afecb367f032d93F642f64180aa3";
const ACCOUNT = "0x00000000000000000000000000000000000000a1";
const submit = (page) => page.locator("main button[type=submit]").click();

let stop;
let browser;

before(async () => {
  stop = await serve();
  browser = await launch();
});

after(async () => {
  await browser?.close();
  stop?.();
});

async function open(t, options = {}) {
  await reset(options);
  const opened = await openPage(browser);
  t.after(() => opened.context.close());
  opened.page.on("dialog", (dialog) => opened.faults.push(`a dialog: ${dialog.message()}`));
  return opened;
}

test("a passkey is added with a name and logs in", async (t) => {
  const { page, context, faults } = await open(t);
  await logIn(context);
  const debug = await context.newCDPSession(page);
  await debug.send("WebAuthn.enable");
  const authenticator = { protocol: "ctap2", transport: "internal", hasResidentKey: true, hasUserVerification: true };
  const options = { ...authenticator, isUserVerified: true, automaticPresenceSimulation: true };
  await debug.send("WebAuthn.addVirtualAuthenticator", { options });
  await page.goto(`${ORIGIN}/account`);
  await page.getByRole("button", { name: "Add passkey" }).click();
  await page.getByRole("dialog").getByLabel("Name of the passkey").fill("laptop");
  await page.getByRole("dialog").getByRole("button", { name: "Add passkey" }).click();
  await page.getByRole("grid", { name: "Passkeys" }).waitFor();
  await page.getByRole("button", { name: /^admin/ }).click();
  await page.getByRole("menuitem", { name: "Log out" }).click();
  await page.getByRole("button", { name: "Log in with a passkey" }).click();
  await page.getByRole("navigation", { name: "Main menu" }).waitFor();
  assert.deepEqual(faults, []);
});

test("a new user gets a one-time password, must change it, and must add a second factor", async (t) => {
  const { page, context, faults } = await open(t);
  await logIn(context);
  await page.goto(`${ORIGIN}/users`);
  await page.getByRole("button", { name: "Add user" }).click();
  await page.getByRole("dialog").getByLabel("User name").fill("wang.fang");
  await page.getByRole("dialog").getByRole("button", { name: "Add user" }).click();
  const password = await page.getByRole("dialog").locator(".dolmen-code-full").textContent();
  await page.getByRole("button", { name: "I have stored it" }).click();
  await page.getByRole("button", { name: /^admin/ }).click();
  await page.getByRole("menuitem", { name: "Log out" }).click();
  await page.getByLabel("User name").fill("wang.fang");
  await page.locator("input[type=password]").fill(password);
  await submit(page);
  await page.getByRole("heading", { name: "Choose a password" }).waitFor();
  const fields = page.locator("input[type=password]");
  for (const [index, value] of [password, "short", "short"].entries()) await fields.nth(index).fill(value);
  await submit(page);
  await page.getByText("This is shorter than 12 characters.").waitFor();
  for (const index of [1, 2]) await fields.nth(index).fill("four unrelated words");
  await submit(page);
  await page.getByRole("heading", { name: "Add a second factor" }).waitFor();
  await page.getByLabel("Authenticator app").check();
  await submit(page);
  const secret = await page.locator(".dolmen-code-full").textContent();
  await page.getByLabel("Code from the app").fill(totp(secret));
  await submit(page);
  await page.getByLabel("I have stored the recovery codes").check();
  await submit(page);
  // A viewer has no way to users or logs.
  const menu = page.getByRole("navigation", { name: "Main menu" });
  await menu.waitFor();
  assert.equal(await menu.getByRole("link", { name: "Users and settings" }).count(), 0);
  assert.equal(await menu.getByRole("link", { name: "Logs and support" }).count(), 0);
  assert.deepEqual(faults, []);
});

test("who may not change the network is told who may, and nothing is sent", async (t) => {
  const { page, context, faults } = await open(t, { role: "operator" });
  await logIn(context);
  const sent = [];
  page.on("request", (request) => request.method() === "PUT" && sent.push(request.url()));
  await page.goto(`${ORIGIN}/network`);
  const change = page.getByRole("button", { name: "Change", exact: true });
  await change.focus();
  await page.getByRole("tooltip", { name: /Security officer/ }).waitFor();
  await page.keyboard.press("Enter");
  assert.equal(await page.getByRole("dialog").count(), 0);
  assert.deepEqual(sent, []);
  assert.deepEqual(faults, []);
});

test("a session that the box ended leads to the login", async (t) => {
  const { page, context, faults } = await open(t);
  await logIn(context);
  await page.goto(`${ORIGIN}/keys`);
  await page.getByRole("heading", { name: "Keys and certificates" }).waitFor();
  await reset();
  await page.getByRole("heading", { name: "Log in" }).waitFor();
  assert.deepEqual(faults, []);
});

test("a screen whose code does not come says so, and another is shown", async (t) => {
  const { page, context } = await open(t);
  await logIn(context);
  await page.goto(`${ORIGIN}/keys`);
  await page.getByRole("heading", { name: "Keys and certificates" }).waitFor();
  await page.route("**/assets/network-*.js", (route) => route.abort());
  await page.getByRole("link", { name: "Network" }).click();
  await page.getByText("This part of the console could not be shown").waitFor();
  await page.getByRole("link", { name: "Updates" }).click();
  await page.getByRole("heading", { name: "Updates" }).waitFor();
});

test("a page that nobody uses warns, stays where somebody says so, and else logs out", async (t) => {
  const { page, context } = await open(t);
  await logIn(context);
  await page.clock.install();
  await page.goto(`${ORIGIN}/keys`);
  await page.getByRole("heading", { name: "Keys and certificates" }).waitFor();
  await page.clock.fastForward("14:10");
  await page.getByRole("button", { name: "Stay logged in" }).click();
  await page.getByRole("dialog").waitFor({ state: "detached" });
  // The box's own clock stood still meanwhile, so that its 15 minutes have all but passed on the page's.
  await page.clock.fastForward("01:10");
  await page.getByRole("dialog").waitFor();
  await page.clock.fastForward("01:00");
  await page.getByRole("heading", { name: "Log in" }).waitFor();
});

test("what others wrote is shown as text", async (t) => {
  const { page, context, faults } = await open(t, { trouble: "all" });
  await logIn(context);
  await page.goto(ORIGIN);
  await page.getByText("<script>alert(1)</script> fan 2 stands still").waitFor();
  await page.goto(`${ORIGIN}/logs`);
  await page.getByText("<img src=x onerror=alert(1)>").first().waitFor();
  await page.goto(`${ORIGIN}/consortium?tab=inbox`);
  await page.getByText("<b>Secure Boot off</b>", { exact: false }).waitFor();
  assert.deepEqual(faults, []);
});

/** In the page: a wallet of another chain that approves whatever it is asked. */
function fakeWallet({ account, hash }) {
  let chain = "0x1";
  window.asked = [];
  window.ethereum = {
    request: async ({ method, params }) => {
      window.asked.push(method);
      if (method === "eth_requestAccounts") return [account];
      if (method === "eth_chainId") return chain;
      if (method === "wallet_switchEthereumChain") throw Object.assign(new Error("unknown chain"), { code: 4902 });
      if (method === "wallet_addEthereumChain") chain = params[0].chainId;
      if (method === "eth_sendTransaction") return hash;
      return null;
    },
  };
}

async function tokenWrites(page) {
  await page.goto(`${ORIGIN}/accounts/${TOKEN}`);
  await page.getByRole("button", { name: "It is an ERC-20 token" }).click();
  await page.getByRole("tab", { name: "Write" }).click();
}

test("without a wallet the page says so", async (t) => {
  const { page, context, faults } = await open(t);
  await logIn(context);
  await tokenWrites(page);
  await page.getByText("This browser has no wallet").waitFor();
  assert.deepEqual(faults, []);
});

test("a contract is written to through the user's wallet, after the box has tried the call", async (t) => {
  const { page, context, faults } = await open(t);
  await logIn(context);
  const { csrf_token } = await (await context.request.get(`${ORIGIN}/api/v1/session`)).json();
  const answer = await context.request.post(`${ORIGIN}/api/v1/rpc`, {
    headers: { "X-CSRF-Token": csrf_token },
    data: { jsonrpc: "2.0", id: 1, method: "eth_getBlockByNumber", params: ["latest", false] },
  });
  const hash = (await answer.json()).result.transactions[0];
  await page.addInitScript(fakeWallet, { account: ACCOUNT, hash });
  await tokenWrites(page);
  await page.getByRole("button", { name: "Connect the wallet" }).click();
  await page.getByRole("button", { name: "transfer(address,uint256)" }).click();
  const form = page.locator("form").filter({ hasText: "(uint256)" }).filter({ visible: true });
  await form.getByRole("button", { name: "Sign and send" }).click();
  await form.getByText("This is no value of the type address.").waitFor();
  await form.locator("input").nth(0).fill(ACCOUNT);
  await form.locator("input").nth(1).fill("1000000000000000000000000000000");
  await form.getByRole("button", { name: "Sign and send" }).click();
  await form.getByText("The box or the wallet refused the call").waitFor();
  assert.ok(!(await page.evaluate(() => window.asked)).includes("eth_sendTransaction"));
  await form.locator("input").nth(1).fill("25");
  await form.getByRole("button", { name: "Sign and send" }).click();
  await form.getByText("Succeeded").waitFor();
  const asked = await page.evaluate(() => window.asked);
  assert.ok(asked.includes("wallet_addEthereumChain") && asked.includes("eth_sendTransaction"));
  assert.deepEqual(faults, []);
});
