// What the pages do beyond plain HTML: live refresh, times in the viewer's zone, keys, copying, the theme.
// Everything works without this file; it only makes it nicer.
const $ = (selector, root = document) => root.querySelector(selector);
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

// Times. The server writes UTC; here they become the viewer's zone, relative where the page asks for it.
const full = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const hour = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const day = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric" });
const ago = new Intl.RelativeTimeFormat(undefined, { numeric: "auto", style: "short" });
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;

function relative(then) {
  const seconds = (then - Date.now()) / 1000, size = Math.abs(seconds);
  if (size < 5) return "now";
  const [unit, length] = size < 60 ? ["second", 1] : size < 3600 ? ["minute", 60] : size < 86400 ? ["hour", 3600] : ["day", 86400];
  return ago.format(Math.trunc(seconds / length), unit);
}
const absolute = (then) => (new Date().toDateString() === then.toDateString() ? "" : day.format(then) + ", ") + clock.format(then);

function showTimes(root = document) {
  for (const node of $$("time[datetime]", root)) {
    const then = new Date(node.dateTime);
    if (isNaN(then)) continue;
    const as = node.dataset.as;
    node.title = `${full.format(then)} ${zone}`;
    if (as === "local") continue;
    const text = as === "ago" ? relative(then) : as === "both" ? `${absolute(then)} · ${relative(then)}` : absolute(then);
    if (node.textContent !== text) node.textContent = text;
  }
  for (const node of $$("[data-hour]", root)) node.textContent = hour.format(new Date(node.dataset.hour));
  for (const node of $$("[data-zone]", root)) node.textContent = zone;
}

// Live refresh: the stream only says that something changed; the page is fetched again and its live parts replaced.
const busy = (part) => part.contains(document.activeElement) && /^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement.tagName)
  || $("details[open]", part) || String(getSelection()) && part.contains(getSelection().anchorNode);

async function refresh() {
  const answer = await fetch(location.href, { headers: { accept: "text/html" } });
  if (!answer.ok || answer.redirected) return;
  const next = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const part of $$("[data-live]")) {
    const fresh = next.getElementById(part.id);
    if (!fresh || busy(part)) continue;
    showTimes(fresh);
    enhance(fresh);
    showLamp(fresh);
    if (fresh.innerHTML === part.innerHTML) continue;
    const known = new Set($$("tr[data-key]", part).map((row) => row.dataset.key));
    const focus = part.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    part.replaceWith(document.adoptNode(fresh));
    if (known.size) for (const row of $$("tr[data-key]", fresh)) if (!known.has(row.dataset.key)) row.classList.add("new");
    if (focus) $(`a[href="${CSS.escape(focus)}"]`, fresh)?.focus();
  }
}

// The lamp says whether the page follows changes.
let lamp = "connecting";
function showLamp(root = document) {
  for (const node of $$(".live", root)) { node.classList.toggle("on", lamp === "live"); node.textContent = lamp; }
}

function listen() {
  let due = 0, running = false, again = false;
  const run = async () => {
    if (running) { again = true; return; }
    running = true;
    try { await refresh(); } catch { /* the stream reconnects and asks again */ }
    running = false;
    if (again) { again = false; soon(); }
  };
  const soon = () => { clearTimeout(due); due = setTimeout(run, 250); };
  const stream = new EventSource("/api/v1/stream");
  stream.addEventListener("changed", () => { if (!document.hidden) soon(); else again = true; });
  stream.onopen = () => { lamp = "live"; showLamp(); };
  stream.onerror = () => { lamp = "reconnecting"; showLamp(); };
  document.addEventListener("visibilitychange", () => { if (!document.hidden && again) { again = false; soon(); } });
  addEventListener("pagehide", () => stream.close());
}

// Buttons that need a script are hidden until it is here.
function enhance(root = document) {
  for (const node of $$("[data-script]", root)) node.hidden = false;
}

async function copy(button) {
  try { await navigator.clipboard.writeText(button.dataset.copy); } catch { return; }
  const word = button.textContent;
  button.textContent = "copied";
  setTimeout(() => { button.textContent = word; }, 1200);
}

function toggleTheme() {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  document.cookie = `theme=${root.dataset.theme}; Path=/; Max-Age=31536000; SameSite=Lax`;
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  if (button.dataset.copy !== undefined) copy(button);
  if (button.dataset.act === "theme") toggleTheme();
  if (button.dataset.act === "keys") $("#keys")?.showModal();
});

// Keys. `g` and a letter go somewhere; j, k and Enter walk the rows.
let leader = 0;
function walk(step) {
  const links = $$("tbody tr td a[href]:first-of-type").filter((link, at, all) => all.findIndex((l) => l.closest("tr") === link.closest("tr")) === at);
  const at = links.findIndex((link) => link.closest("tr").contains(document.activeElement));
  links[Math.min(links.length - 1, Math.max(0, at + step))]?.focus();
}
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName)) return;
  if (performance.now() - leader < 1000) {
    leader = 0;
    const link = $(`.side nav a[data-key="${CSS.escape(event.key)}"]`);
    if (link) { link.click(); return; }
  }
  if (event.key === "g") leader = performance.now();
  else if (event.key === "?") $("#keys")?.showModal();
  else if (event.key === "t") toggleTheme();
  else if (event.key === "j") walk(1);
  else if (event.key === "k") walk(-1);
  else if (event.key === "/") { const field = $("form.filters input"); if (field) { event.preventDefault(); field.focus(); } }
});

// The editor of automations. The form is posted while somebody types, and what it is answered replaces the parts that
// say what is wrong; trying and back-testing answer in place, as far as they have come.
const editor = $("#editor");
let typed = 0, checking, asking, saved;
const fields = (button) => new URLSearchParams(new FormData(editor, button));

function put(html, parts) {
  const page = new DOMParser().parseFromString(html, "text/html");
  for (const id of parts) {
    const fresh = page.getElementById(id), part = document.getElementById(id);
    if (!fresh || !part) continue;
    showTimes(fresh);
    enhance(fresh);
    if (fresh.innerHTML === part.innerHTML) continue;
    const stopping = part.contains(document.activeElement) && document.activeElement.dataset.act === "cancel";
    part.replaceChildren(...fresh.childNodes);
    if (stopping) $("[data-act=cancel]", part)?.focus();
  }
  number();
}

async function ask(address, body, parts, signal) {
  const answer = await fetch(address, { method: "POST", body, signal, headers: { accept: "text/html" } });
  if (answer.redirected) return;
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let html = "", shown = 0;
  for (;;) {
    const { value, done } = await reader.read();
    if (value) html += value;
    if (done || performance.now() - shown > 200) { put(html, parts); shown = performance.now(); }
    if (done) return;
  }
}

async function check() {
  checking?.abort();
  checking = new AbortController();
  try { await ask("/automations/check", fields(), ["diagnostics"], checking.signal); } catch { /* typed on, or offline */ }
}

async function inPlace(button) {
  asking?.abort();
  asking = new AbortController();
  button.disabled = true;
  try {
    await ask(button.formAction, fields(button), ["diagnostics", "answer"], asking.signal);
    $("#answer [data-done]")?.focus();
  } catch { $("#answer").replaceChildren(); }
  button.disabled = false;
}

// Line numbers; lines that something is said about are marked.
function number() {
  const gutter = $("#gutter"), text = $("#text");
  if (!gutter || !text.value) return;
  const marks = new Map($$("#diagnostics [data-line]").reverse().map((link) => [Number(link.dataset.line), link.dataset.tone]));
  const lines = text.value.split("\n").length;
  text.rows = Math.max(18, lines + 1);
  gutter.replaceChildren(...Array.from({ length: lines }, (_, index) => {
    const line = document.createElement("span");
    line.textContent = index + 1;
    line.className = marks.get(index + 1) ?? "";
    return line;
  }));
}

function goTo(line) {
  const text = $("#text"), lines = text.value.split("\n"), begin = lines.slice(0, line - 1).join("\n").length + (line > 1);
  text.focus();
  text.setSelectionRange(begin, begin + lines[line - 1].length);
}

if (editor) {
  saved = fields().toString();
  number();
  editor.addEventListener("input", (event) => { if (event.target.id === "text") number(); clearTimeout(typed); typed = setTimeout(check, 400); });
  editor.addEventListener("submit", (event) => {
    if (event.submitter?.dataset.inPlace === undefined) { saved = undefined; return; }
    event.preventDefault();
    inPlace(event.submitter);
  });
  addEventListener("beforeunload", (event) => { if (saved !== undefined && fields().toString() !== saved) event.preventDefault(); });
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-line], a[data-act=cancel]");
    if (!link || (link.dataset.act && !asking) || (link.dataset.line && !$("#text")?.value)) return;
    event.preventDefault();
    if (link.dataset.line) goTo(Number(link.dataset.line)); else asking.abort();
  });
}

// Parts that ask for a script of their own.
for (const part of $$("[data-module]")) import(part.dataset.module);

// The zone for pages that show local times; the server reads it with the next page.
document.cookie = `zone=${zone}; Path=/; Max-Age=31536000; SameSite=Lax`;
// On a phone the entry of this page may be out of sight.
const here = $(".side nav [aria-current]");
if (here) here.closest(".side").scrollLeft = here.offsetLeft - (innerWidth - here.offsetWidth) / 2;
showTimes();
enhance();
setInterval(showTimes, 15000);
// Nothing on the page of an editor moves under the hands of whoever writes.
if ($("[data-live]") && !editor) listen();
$("form[data-submit]")?.requestSubmit();
