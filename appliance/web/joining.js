// How far a box is that has not joined yet. When it has, its own page is here instead.

const INTERVAL_MS = 1000;

const TEXTS = {
  en: {
    title: "This box joins its chain", refused: "Refused", failed: "Tried, and not yet done",
    serial: "Serial number {serial}", by_pledge: "by this box", by_registrar: "by a registrar", at: "at {at}",
    gone: "The box does not answer. It starts its node, or has no power.",
    discovering: "Looks for registrars", pausing: "Waits before it asks again", connecting: "Calls a registrar",
    asking: "Asks for a voucher", "taking-ownership": "Follows its voucher",
    attesting: "Shows its TPM and its image", enrolling: "Asks for its certificate",
    "fetching-bundle": "Asks for its chain", "awaiting-admission": "Waits to be admitted to the chain",
    member: "Is one of the chain's",
  },
  zh: {
    title: "本机正在加入链", refused: "被拒绝", failed: "已尝试，尚未完成",
    serial: "序列号 {serial}", by_pledge: "由本机拒绝", by_registrar: "由注册机构拒绝", at: "位置 {at}",
    gone: "本机没有响应：节点正在启动，或者已断电。",
    discovering: "寻找注册机构", pausing: "等待后再次询问", connecting: "连接注册机构",
    asking: "申请凭证", "taking-ownership": "接受凭证",
    attesting: "出示 TPM 和系统镜像", enrolling: "请求证书",
    "fetching-bundle": "请求链的信息", "awaiting-admission": "等待加入链的批准",
    member: "已是链的成员",
  },
};
const PHASES = [
  "discovering", "connecting", "asking", "taking-ownership", "attesting", "enrolling", "fetching-bundle",
  "awaiting-admission", "member",
];

const language = navigator.languages.map((tag) => tag.split("-")[0]).find((tag) => TEXTS[tag]) ?? "en";
const text = (key, values = {}) =>
  (TEXTS[language][key] ?? key).replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
const element = (id) => document.getElementById(id);

document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
element("title").textContent = text("title");
element("refusal-title").textContent = text("refused");
element("failure-title").textContent = text("failed");
for (const phase of PHASES) {
  const item = document.createElement("li");
  item.dataset.phase = phase;
  item.textContent = text(phase);
  element("phases").append(item);
}

function show(report) {
  element("serial").textContent = text("serial", { serial: report.serial_number });
  const at = PHASES.indexOf(report.phase === "pausing" ? "discovering" : report.phase);
  for (const item of element("phases").children) {
    const place = PHASES.indexOf(item.dataset.phase);
    item.classList.toggle("past", place < at);
    if (place === at) item.setAttribute("aria-current", "step");
    else item.removeAttribute("aria-current");
  }
  for (const name of ["refusal", "failure"]) {
    const trouble = report[name];
    element(name).hidden = !trouble;
    if (!trouble) continue;
    const whose = name === "refusal" ? [text(`by_${trouble.by}`)] : [];
    if (trouble.at) whose.push(text("at", { at: trouble.at }));
    element(`${name}-text`).textContent = `${trouble.message} (${[trouble.code, ...whose].join(", ")})`;
  }
}

async function look() {
  try {
    const answer = await fetch("/api/provisioning", { cache: "no-store" });
    // The box has joined: this address has another page now.
    if (answer.status === 404) return location.reload();
    const report = await answer.json();
    if (report) show(report);
  } catch {
    element("serial").textContent = text("gone");
  }
  setTimeout(look, INTERVAL_MS);
}

look();
