// What people do who have no mouse: Tab to an element, then a key. And what Tab leads to, on a whole screen.

import { WAIT_MS } from "./lib.mjs";

/** More elements than any screen has. */
const TABS_MAX = 600;

/** Presses Tab, or arrows within a menu or a group of choices, until an element has the focus. */
export async function goTo(element, key = "Tab") {
  const { keyboard } = element.page();
  await element.waitFor();
  // What is busy takes no focus, and does a little later.
  const deadline = Date.now() + WAIT_MS;
  while (Date.now() < deadline) {
    if (await element.evaluate((one) => one === document.activeElement)) return;
    await keyboard.press(key);
  }
  throw new Error(`${key} does not lead to ${element}`);
}

/** Goes to an element and presses a key. */
export async function press(element, key = "Enter") {
  await goTo(element);
  await element.page().keyboard.press(key);
}

/** Goes to a field and types over what it holds. */
export async function type(element, text) {
  await press(element, "Control+A");
  const { keyboard } = element.page();
  await (text === "" ? keyboard.press("Delete") : keyboard.type(text));
}

/** Notes what can be used, and how an element looks, with what is around it. */
function prepareWalk() {
  const parts = (one) => ["", "::before", "::after"].map((pseudo) => {
    const { outline, boxShadow, border, background, color, textDecoration } = getComputedStyle(one, pseudo);
    return [outline, boxShadow, border, background, color, textDecoration].join();
  });
  const looks = (one) => [one, one.parentElement, one.parentElement?.parentElement].filter(Boolean).flatMap(parts).join();
  // What comes later, such as the row of a new block, is not looked at.
  window.walk = { there: [...document.querySelectorAll("body *")], reached: new Map(), ends: 0, looks };
  document.activeElement?.blur();
}

/** Notes what has the focus; false where the walk is back at where it was before. */
async function noteFocus() {
  const { activeElement: one, body } = document;
  const { reached, looks } = window.walk;
  // A walk that began in the middle goes past the end of the page.
  if (one === body) return (window.walk.ends += 1) < 3;
  if (reached.has(one)) return false;
  // Some looks change in steps, and all begin with the next frame.
  await new Promise(requestAnimationFrame);
  await new Promise(requestAnimationFrame);
  reached.set(one, looks(one));
  return true;
}

/** What the walk did not lead to though it can be used, and what does not show that it has the focus. */
function faultsOfWalk() {
  document.activeElement?.blur();
  const { there, reached, looks } = window.walk;
  const stops = [...reached.keys()];
  const usable = (one) => one.isConnected && one.checkVisibility({ visibilityProperty: true })
    && !one.closest("[inert], [aria-hidden=true], :disabled, [aria-disabled=true]");
  const native = "a[href], button, input, select, textarea, summary, [contenteditable], [role=button]";
  const handles = (one) => Object.entries(one).some(
    ([name, value]) => name.startsWith("__reactProps$") && typeof value.onClick === "function",
  );
  // Arrows lead from one to the other; a label does what its field does; what is around a button does the same.
  const led = (one) => stops.some((stop) => one === stop || one.contains(stop) || stop.contains(one)
    || (one.type === "radio" && one.name === stop.name)
    || (one.role === "tab" && one.closest("[role=tablist]") === stop.closest("[role=tablist]")));
  const line = (one) => one.outerHTML.slice(0, 200);
  return [
    ...there.filter((one) => (one.matches(native) || handles(one)) && usable(one) && !led(one))
      .map((one) => `no key leads to ${line(one)}`),
    ...stops.filter((one) => one.isConnected && reached.get(one) === looks(one))
      .map((one) => `the focus does not show on ${line(one)}`),
  ];
}

/** What on a screen is there to be used and nobody without a mouse can, as lines. */
export async function beyondKeyboard(page) {
  await page.evaluate(prepareWalk);
  for (let pressed = 0; pressed < TABS_MAX; pressed += 1) {
    await page.keyboard.press("Tab");
    if (!(await page.evaluate(noteFocus))) return page.evaluate(faultsOfWalk);
  }
  return [`Tab does not come round within ${TABS_MAX} steps`];
}
