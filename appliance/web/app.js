// One data path: box -> event stream -> state -> render. Events only change `state`; drawing happens at most
// every RENDER_MS, because a box may finalize 50 blocks a second and nobody reads faster than that.

import { applyStaticText, language, setLanguage, t } from "./i18n.js";
import { state } from "./model.js";
import { connect, onChange, watch } from "./stream.js";
import { $, makeChart, redraw, render } from "./view.js";

const RENDER_MS = 250;
const RENDER_HIDDEN_MS = 2000;
const TOUCH_HOLD_MS = 4000;

let scheduled = false;
let renderedAt = 0;

/** Asks for a drawing: on the next frame if the last is old enough, later if not, rarely in a hidden tab. */
function schedule() {
  if (scheduled) return;
  scheduled = true;
  const gap = document.hidden ? RENDER_HIDDEN_MS : RENDER_MS;
  const draw = () => {
    scheduled = false;
    renderedAt = Date.now();
    render();
  };
  const wait = Math.max(0, renderedAt + gap - Date.now());
  // A hidden tab gets no animation frames, so it draws from the timer alone.
  setTimeout(() => (document.hidden ? draw() : requestAnimationFrame(draw)), wait);
}

function labelPause() {
  $("pause").textContent = t(state.table.paused ? "resume" : "pause");
}

function relabel() {
  applyStaticText();
  for (const button of document.querySelectorAll("[data-lang]")) {
    button.setAttribute("aria-pressed", String(button.dataset.lang === language()));
  }
  labelPause();
  redraw();
}

function start() {
  for (const button of document.querySelectorAll("[data-lang]")) {
    button.addEventListener("click", () => {
      setLanguage(button.dataset.lang);
      relabel();
    });
  }
  $("retry").addEventListener("click", connect);
  $("pause").addEventListener("click", () => {
    state.table.paused = !state.table.paused;
    labelPause();
    schedule();
  });
  const body = $("blocks");
  body.addEventListener("pointerenter", (event) => { state.table.pointer = event.pointerType === "mouse"; });
  body.addEventListener("pointerleave", () => { state.table.pointer = false; });
  body.addEventListener("pointerdown", (event) => {
    if (event.pointerType !== "mouse") state.table.touchUntil = Date.now() + TOUCH_HOLD_MS;
  });
  document.addEventListener("visibilitychange", schedule);
  makeChart($("finality-chart"));
  makeChart($("tps-chart"));
  relabel();
  onChange(schedule);
  connect();
  setInterval(() => {
    watch();
    schedule();
  }, RENDER_MS);
}

start();
