// Words, numbers, durations and dates in the two languages of the page. No DOM beyond the static labels.

const STORAGE_KEY = "dolmen.lang";
const LOCALES = { en: "en", zh: "zh-CN" };

const UNITS = {
  en: { ms: " ms", s: " s", min: " min", h: " h", d: " d", gap: " " },
  zh: { ms: " 毫秒", s: " 秒", min: " 分", h: " 小时", d: " 天", gap: " " },
};

const WORDS = {
  en: {
    skip: "Skip to content", language: "Language", machine: "Machine-readable pages", unknown: "–",
    height: "Height", head_age: "Last block", block_rate: "Blocks per second", ago: "{age} ago",
    finality: "Time to finality", samples: "p50 and p99 of {n} samples",
    finality_note: "Last 60 blocks, newest right; dashes: p50.",
    finality_chart: "Time to finality of the last {n} blocks: lowest {min}, highest {max}",
    tps: "Transactions per second", tps_window: "Mean of the last 10 seconds",
    tps_note: "Last 60 seconds, newest right",
    tps_chart: "Transactions per second in the last {n} seconds: lowest {min}, highest {max}",
    chart_empty: "No data yet",
    gas: "Gas per second", gas_fill: "Blocks filled", gas_limit: "Gas limit per block",
    pool: "Transaction pool", pending: "Pending", queued: "Queued", pool_bytes: "Size",
    blocks: "Recent blocks", blocks_empty: "No block received yet.", pause: "Pause", resume: "Resume",
    held_paused: "Paused. Newer blocks: {n}", held_use: "Held while you use the table. Newer blocks: {n}",
    col_number: "Number", col_age: "Age", col_transactions: "Transactions", col_gas: "Gas used",
    col_finality: "Finality", col_size: "Size", col_proposer: "Proposer", col_hash: "Hash",
    peers: "Peers", peers_count: "{up} of {all} connected", peers_empty: "No peer is configured.",
    col_name: "Name", col_state: "State", col_address: "Address", col_key: "Public key",
    connected: "Connected", disconnected: "Not connected",
    keys: "Keys", col_use: "Use", col_algorithm: "Algorithm", col_in: "Held in",
    in_device: "Device", in_memory: "Memory", use_consensus: "Consensus", use_tls: "Page (TLS)", use_api: "API",
    copy_own_key: "public key for {use}",
    this_box: "This box", role: "Role", validator: "Validator", follower: "Follower", version: "Version",
    uptime: "Uptime", chain_id: "Chain ID", validators: "Validators", quorum: "{all}, quorum {quorum}",
    genesis: "Genesis hash", head_hash: "Head hash", rpc: "JSON-RPC", metrics: "Metrics (Prometheus)",
    copy: "Copy {what}", copied: "Copied", copy_failed: "The browser refused to copy. Select the text instead.",
    copy_block: "hash of block {n}", copy_key: "public key of {name}",
    live: "Live", connecting: "Connecting", lost: "Not connected", updated: "Last data: {time}",
    retry: "Retry now",
    retry_in: "Next try in {wait}.", retry_now: "Trying now.",
    why_stream: "The event stream ended or was refused (32 pages are served at once), or the box can't be reached.",
    why_silent: "The event stream is open, but nothing arrived for {age}.",
    why_http: "The box answered /api/status with HTTP {status}.",
    why_fetch: "The box didn't answer /api/status within {age}.",
    why_format: "The box's answer to /api/status isn't the expected JSON.",
    connecting_title: "Connecting to the box",
    connecting_cause: "Waiting for the first answer.", connecting_next: "",
    why_event: "The event stream sent something that isn't the expected JSON.",
    advice_unreachable: "Check that the box has power and that this computer can reach its address.",
    advice_answering: "The box is up but not serving: /readyz says what is missing. If that persists, restart the box.",
    no_status_title: "The box answers, but without its status", no_status_cause: "{why}",
    no_status_next: "{retry} {advice}",
    unreachable_title: "No connection to the box",
    unreachable_cause: "{why}",
    unreachable_next: "{retry} {advice}",
    stale_title: "No live data from the box: what you see is {age} old",
    stale_cause: "{why} Last known state: {last}.",
    stale_next: "{retry} {advice}",
    more: "Also",
    alarm_title: "The box raises an alarm", alarm_cause: "{detail}", alarm_next: "{next}",
    votes_failing_title: "This box casts no votes",
    votes_failing_cause: "Its last vote was not signed: {detail}.",
    votes_failing_next:
      "Connect the device that holds the key, and check the TPM and the disk; the box then votes again by itself. " +
      "If [keys] in box.toml is wrong, correct it and restart the box.",
    votes_fenced_title: "This box holds back its votes: another may vote with its key",
    votes_fenced_cause: "There may be votes with its key that it has no record of: {detail}.",
    votes_fenced_next:
      "Look for another box with this key and stop it. This one votes again when the chain has passed view {view}.",
    ok_title: "Finalizing",
    ok_cause: "All {all} peers are connected. Finality continues if up to {spare} of {validators} validators fail.",
    ok_next: "",
    ok_follower_title: "Following the chain",
    ok_follower_cause: "All {all} peers are connected. This box receives finalized blocks and doesn't vote.",
    ok_follower_next: "",
    peer_down_title: "Finalizing; {down} of {all} peers not connected",
    peer_down_cause: "Not connected: {names}.",
    peer_down_next: "Check that each of them has power and can be reached at its address.",
    no_spare_title: "Finalizing with no spare validator",
    no_spare_cause:
      "Not connected: {names}. {reachable} of {validators} validators are reachable and {quorum} are needed.",
    no_spare_next: "If one more is lost, finality stops. Check power and network of the missing boxes.",
    syncing_title: "Catching up",
    syncing_cause: "This box is behind the chain and is at height {height}. Rate: {rate} blocks per second.",
    syncing_next: "Wait; it joins in by itself when it has caught up. Figures on this page trail the chain until then.",
    syncing_alone_title: "Catching up, but no peer is connected",
    syncing_alone_cause: "This box is behind the chain, at height {height}, and has nobody to fetch blocks from.",
    syncing_alone_next: "Check this box's network and the peers' addresses below.",
    no_quorum_title: "No finality for {age}: fewer than {quorum} of {validators} validators are reachable",
    no_quorum_cause: "Reachable: {reachable}, this box included. Not connected: {names}.",
    no_quorum_next:
      "Check power and network of the missing boxes. Blocks resume by themselves with {quorum} validators connected.",
    cut_off_title: "No new block for {age}: no peer is connected",
    cut_off_cause: "A follower needs at least one connected validator. Not connected: {names}.",
    cut_off_next: "Check this box's network and the peers' addresses below.",
    stalled_title: "No finality for {age}, although enough peers are connected",
    stalled_cause:
      "{reachable} of {validators} validators are reachable and {quorum} are needed, but no block is finalized.",
    stalled_next: "Open this page on the other boxes: one that is catching up or out of disk space doesn't vote.",
  },
  zh: {
    skip: "跳到正文", language: "语言", machine: "供程序读取的页面", unknown: "–",
    height: "区块高度", head_age: "最新区块", block_rate: "每秒区块数", ago: "{age}前",
    finality: "最终确认用时", samples: "p50、p99 取自 {n} 个样本",
    finality_note: "最近 60 个区块，最新的在右；虚线为 p50。",
    finality_chart: "最近 {n} 个区块的最终确认用时：最低 {min}，最高 {max}",
    tps: "每秒交易数", tps_window: "最近 10 秒的平均值",
    tps_note: "最近 60 秒，最新的在右",
    tps_chart: "最近 {n} 秒的每秒交易数：最低 {min}，最高 {max}",
    chart_empty: "暂无数据",
    gas: "每秒 Gas", gas_fill: "区块使用率", gas_limit: "单个区块 Gas 上限",
    pool: "交易池", pending: "待打包", queued: "排队中", pool_bytes: "大小",
    blocks: "最近区块", blocks_empty: "尚未收到区块。", pause: "暂停", resume: "继续",
    held_paused: "已暂停，新区块：{n}", held_use: "正在使用表格，暂不滚动，新区块：{n}",
    col_number: "高度", col_age: "时间", col_transactions: "交易数", col_gas: "Gas 使用率",
    col_finality: "最终确认", col_size: "大小", col_proposer: "出块节点", col_hash: "哈希",
    peers: "对等节点", peers_count: "已连接 {up}/{all}", peers_empty: "未配置对等节点。",
    col_name: "名称", col_state: "状态", col_address: "地址", col_key: "公钥",
    connected: "已连接", disconnected: "未连接",
    keys: "密钥", col_use: "用途", col_algorithm: "算法", col_in: "存放于", in_device: "设备", in_memory: "内存",
    use_consensus: "共识", use_tls: "网页（TLS）", use_api: "API",
    copy_own_key: "用于{use}的公钥",
    this_box: "本机", role: "角色", validator: "验证节点", follower: "跟随节点", version: "版本",
    uptime: "运行时长", chain_id: "链 ID", validators: "验证节点数", quorum: "{all}，法定数 {quorum}",
    genesis: "创世哈希", head_hash: "最新区块哈希", rpc: "JSON-RPC", metrics: "指标（Prometheus）",
    copy: "复制{what}", copied: "已复制", copy_failed: "浏览器拒绝复制，请手动选择文本。",
    copy_block: "区块 {n} 的哈希", copy_key: "{name} 的公钥",
    live: "实时", connecting: "正在连接", lost: "未连接", updated: "最后数据：{time}",
    retry: "立即重试",
    retry_in: "{wait}后重试。", retry_now: "正在重试。",
    why_stream: "事件流已中断或被拒绝（最多同时打开 32 个页面），或无法访问本机。",
    why_silent: "事件流仍打开，但已有 {age}没有收到数据。",
    why_http: "请求 /api/status 返回 HTTP {status}。",
    why_fetch: "请求 /api/status 在 {age}内没有应答。",
    why_format: "/api/status 的应答不是预期的 JSON。",
    connecting_title: "正在连接本机",
    connecting_cause: "等待首次应答。", connecting_next: "",
    why_event: "事件流发来的内容不是预期的 JSON。",
    advice_unreachable: "请检查设备是否通电，以及这台电脑能否访问其地址。",
    advice_answering: "设备已启动但未能提供服务：/readyz 会说明缺少什么。若持续如此，请重启设备。",
    no_status_title: "本机有应答，但没有返回状态", no_status_cause: "{why}",
    no_status_next: "{retry}{advice}",
    unreachable_title: "未能连接本机",
    unreachable_cause: "{why}",
    unreachable_next: "{retry}{advice}",
    stale_title: "实时数据已中断：当前显示的是 {age}前的数据",
    stale_cause: "{why}中断前的状态：{last}。",
    stale_next: "{retry}{advice}",
    more: "其他情况",
    alarm_title: "本机发出告警", alarm_cause: "{detail}", alarm_next: "{next}",
    votes_failing_title: "本机未在投票",
    votes_failing_cause: "最近一次投票未能签名：{detail}。",
    votes_failing_next:
      "请连接存放密钥的设备，并检查 TPM 和磁盘；恢复后本机会自动继续投票。若 box.toml 中的 [keys] 有误，请更正并重启本机。",
    votes_fenced_title: "本机暂停投票：可能有其他设备在用它的密钥投票",
    votes_fenced_cause: "可能存在使用本机密钥、但本机没有记录的投票：{detail}。",
    votes_fenced_next: "请查找使用同一密钥的其他设备并将其停用。链越过视图 {view} 后，本机会自动继续投票。",
    ok_title: "出块正常",
    ok_cause: "{all} 个对等节点全部已连接。{validators} 个验证节点中最多可有 {spare} 个失效而不影响最终确认。",
    ok_next: "",
    ok_follower_title: "正在跟随链",
    ok_follower_cause: "{all} 个对等节点全部已连接。本机接收已最终确认的区块，不参与投票。",
    ok_follower_next: "",
    peer_down_title: "出块正常；{all} 个对等节点中有 {down} 个未连接",
    peer_down_cause: "未连接：{names}。",
    peer_down_next: "请检查这些节点是否通电、其地址能否访问。",
    no_spare_title: "出块正常，但验证节点已无余量",
    no_spare_cause: "未连接：{names}。{validators} 个验证节点中可达 {reachable} 个，至少需要 {quorum} 个。",
    no_spare_next: "再失去一个节点，最终确认就会停止。请检查缺失节点的电源和网络。",
    syncing_title: "正在追赶区块",
    syncing_cause: "本机落后于链，当前高度 {height}，每秒 {rate} 个区块。",
    syncing_next: "请等待；追上后会自动参与。在此之前，本页数据落后于链。",
    syncing_alone_title: "需要追赶区块，但没有已连接的对等节点",
    syncing_alone_cause: "本机落后于链，当前高度 {height}，没有可以获取区块的节点。",
    syncing_alone_next: "请检查本机网络和下方对等节点的地址。",
    no_quorum_title: "已有 {age}没有最终确认：{validators} 个验证节点中可达的少于 {quorum} 个",
    no_quorum_cause: "可达 {reachable} 个（含本机）。未连接：{names}。",
    no_quorum_next: "请检查缺失节点的电源和网络。连接的验证节点达到 {quorum} 个后会自动恢复出块。",
    cut_off_title: "已有 {age}没有新区块：没有已连接的对等节点",
    cut_off_cause: "跟随节点至少需要连接一个验证节点。未连接：{names}。",
    cut_off_next: "请检查本机网络和下方对等节点的地址。",
    stalled_title: "已有 {age}没有最终确认，但已连接的节点足够",
    stalled_cause: "{validators} 个验证节点中可达 {reachable} 个，需要 {quorum} 个，但没有区块得到最终确认。",
    stalled_next: "请在其他节点上打开本页：正在追赶区块或磁盘已满的节点不会投票。",
  },
};

let lang = initialLanguage();
let formats = makeFormats(lang);

function initialLanguage() {
  let saved = null;
  try {
    saved = localStorage.getItem(STORAGE_KEY);
  } catch {
    // Storage may be switched off; then the browser's language decides on every visit.
  }
  if (Object.hasOwn(WORDS, saved ?? "")) return saved;
  return navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";
}

function makeFormats(code) {
  const locale = LOCALES[code];
  const number = (options) => new Intl.NumberFormat(locale, options);
  return {
    whole: number({ maximumFractionDigits: 0 }),
    tenth: number({ minimumFractionDigits: 1, maximumFractionDigits: 1 }),
    compact: number({ notation: "compact", maximumSignificantDigits: 3 }),
    percent: number({ style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 }),
    list: new Intl.ListFormat(locale, { type: "conjunction", style: code === "zh" ? "narrow" : "long" }),
    time: new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "medium" }),
  };
}

export const language = () => lang;

/** Switches the language, remembers it where the browser allows, and relabels the static text. */
export function setLanguage(code) {
  lang = code;
  formats = makeFormats(code);
  try {
    localStorage.setItem(STORAGE_KEY, code);
  } catch {
    // The choice then holds until the page is closed.
  }
  applyStaticText();
}

/** The text of `key`, with `{name}` replaced by `values.name`. */
export function t(key, values = {}) {
  return WORDS[lang][key].replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? "–"));
}

/** Writes the labels that do not depend on data, and the page's `lang`. */
export function applyStaticText() {
  document.documentElement.lang = LOCALES[lang];
  for (const node of document.querySelectorAll("[data-i18n]")) node.textContent = t(node.dataset.i18n);
  for (const node of document.querySelectorAll("[data-i18n-label]")) {
    node.setAttribute("aria-label", t(node.dataset.i18nLabel));
  }
}

const known = (value) => typeof value === "number" && Number.isFinite(value);
const or = (value, format) => (known(value) ? format(value) : WORDS[lang].unknown);

export const whole = (value) => or(value, (v) => formats.whole.format(v));
export const compact = (value) => or(value, (v) => formats.compact.format(v));
export const percent = (value) => or(value, (v) => formats.percent.format(v));
export const list = (items) => (items.length ? formats.list.format(items) : WORDS[lang].unknown);
export const dateTime = (ms) => or(ms, (v) => formats.time.format(v));

/** A rate: one decimal below 100, none above. */
export const rate = (value) => or(value, (v) => (v < 100 ? formats.tenth : formats.whole).format(v));

/** A latency in milliseconds: one decimal below 100 ms. */
export const latency = (ms) => or(ms, (v) => (v < 100 ? formats.tenth : formats.whole).format(v) + UNITS[lang].ms);

/** A size in bytes, in decimal units. */
export const size = (bytes) => or(bytes, (v) => {
  if (v < 1000) return `${formats.whole.format(v)} B`;
  return v < 1e6 ? `${formats.tenth.format(v / 1e3)} kB` : `${formats.tenth.format(v / 1e6)} MB`;
});

/** A time span in milliseconds, in its two largest units; tenths of a second below ten seconds unless `coarse`. */
export function span(ms, coarse = false) {
  if (!known(ms)) return WORDS[lang].unknown;
  const unit = UNITS[lang];
  const seconds = Math.max(0, ms) / 1000;
  if (seconds < 10 && !coarse) return formats.tenth.format(seconds) + unit.s;
  const s = Math.floor(seconds);
  const parts = [[Math.floor(s / 86400), unit.d], [Math.floor(s / 3600) % 24, unit.h],
    [Math.floor(s / 60) % 60, unit.min], [s % 60, unit.s]];
  const first = parts.findIndex(([value]) => value > 0);
  if (first < 0) return formats.whole.format(0) + unit.s;
  return parts.slice(first, first + 2).filter(([value], i) => i === 0 || value > 0)
    .map(([value, name]) => formats.whole.format(value) + name).join(unit.gap);
}
