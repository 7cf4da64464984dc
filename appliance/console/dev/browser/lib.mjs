// The built console before the mock box, in a real browser: axe and faults of the page, and pictures where asked.

import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const PORT = Number(process.env.PORT ?? 4391);
export const ORIGIN = `http://localhost:${PORT}`;
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const AXE_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];

/** Starts `vite preview` on the built page; returns what ends it. */
export async function serve() {
  const server = spawn(
    process.execPath,
    ["node_modules/vite/bin/vite.js", "preview", "--port", String(PORT), "--strictPort"],
    {
      stdio: ["ignore", "ignore", "inherit"],
    },
  );
  for (let tries = 0; tries < 100; tries += 1) {
    const up = await fetch(`${ORIGIN}/api/v1/box`).then(
      (response) => response.ok,
      () => false,
    );
    if (up) return () => server.kill();
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  server.kill();
  throw new Error(`nothing listens on ${ORIGIN}`);
}

export const reset = (options = {}) => fetch(`${ORIGIN}/mock/reset?${new URLSearchParams(options)}`);

export const launch = () =>
  chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"],
  });

/** A page in a fresh profile, with what must not happen on it. */
export async function openPage(browser, { width = 1280, theme = "light", language = "en" } = {}) {
  const context = await browser.newContext({
    viewport: { width, height: width < 600 ? 844 : 900 },
    colorScheme: theme,
    locale: language === "zh" ? "zh-CN" : "en-US",
  });
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  const faults = [];
  page.on("console", (message) => {
    // A refusal that a test provokes is logged by the browser, too.
    if (message.type() === "error" && !/status of 4\d\d/.test(message.text())) faults.push(message.text());
  });
  page.on("pageerror", (error) => faults.push(String(error)));
  page.on("request", (request) => {
    const { protocol, origin } = new URL(request.url());
    if (protocol !== "blob:" && origin !== ORIGIN) faults.push(`request to ${request.url()}`);
  });
  return { context, page, faults };
}

/** The serious and critical faults that axe finds, as lines. */
export async function axe(page) {
  // Injected by the debugger, which the page's policy does not bind.
  await page.evaluate(AXE);
  const { violations } = await page.evaluate((tags) => window.axe.run(document, { runOnly: tags }), AXE_TAGS);
  return violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .flatMap(({ id, nodes }) =>
      nodes
        .slice(0, 3)
        .map(
          ({ html, failureSummary }) =>
            `${id}: ${html.slice(0, 160)} ${failureSummary.split("\n").slice(1, 2).join("")}`,
        ),
    );
}

/** Makes the window as high as what the page has to show, for a picture of all of it. */
export async function stretch(page, width) {
  const height = await page.evaluate(() => {
    const main = document.querySelector("#main");
    return main ? main.scrollHeight + main.getBoundingClientRect().top + 24 : document.documentElement.scrollHeight;
  });
  await page.setViewportSize({ width, height: Math.min(Math.ceil(height), 4_000) });
}

/** Whether something on the page is wider than the page. */
export const overflows = (page) =>
  page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth + 1);

/** Logs in without the page. */
export async function logIn(context) {
  const data = { name: "admin", password: "correct horse battery", totp: "000000" };
  const response = await context.request.post(`${ORIGIN}/api/v1/session`, { data });
  if (!response.ok()) throw new Error(`the login was answered ${response.status()}`);
}

export async function picture(page, folder, name) {
  await mkdir(folder, { recursive: true });
  await page.screenshot({ path: `${folder}/${name}.png`, fullPage: false });
}
