// Keeps the page as fresh as the city: listens for events, asks for the page again, and puts in what has changed.
const KEY = "canhbao.area";
const AREA = document.getElementById("main").dataset.area;
const LIVE = ["notes", "now", "warnings", "sensors"]; // `now` part by part: its sentence is read out when it changes
const SLOW_MS = 1500; // a city of phones asks within so long after an event, not at once
const GIVE_UP_MS = 10_000;

function remember(area) {
  try {
    if (area) localStorage.setItem(KEY, area);
    else localStorage.removeItem(KEY);
  } catch { /* a browser that keeps nothing still shows everything */ }
}

function remembered() {
  try { return localStorage.getItem(KEY) || ""; } catch { return ""; }
}

const asked = new URLSearchParams(location.search);
if (!asked.has("area") && remembered()) {
  asked.set("area", remembered());
  location.replace(`?${asked}`);
} else if (asked.has("area")) {
  remember(AREA === asked.get("area") ? AREA : "");
}

const form = document.getElementById("choose");
document.documentElement.classList.add("live");
document.getElementById("area").addEventListener("change", () => form.requestSubmit());

// ---- the page again
let before = document.cloneNode(true); // as the server sent it last: what the reader opens is no change of the server's
let running = false, again = false;
let timer = 0, due = Infinity;

function swap(now, then, next) {
  if (then.outerHTML === next.outerHTML) return;
  if (now.id === "now") {
    now.className = next.className;
    for (const part of next.querySelectorAll("[id]")) put(document.getElementById(part.id), part);
    return;
  }
  const fresh = document.importNode(next, true);
  for (const d of fresh.querySelectorAll("details")) {
    const seen = then.querySelector(`#${CSS.escape(d.id)}`), live = now.querySelector(`#${CSS.escape(d.id)}`);
    if (live && seen?.open === d.open) d.open = live.open; // the reader's choice, until the server's changes
  }
  const focused = now.contains(document.activeElement) && document.activeElement.closest("details")?.id;
  now.replaceWith(fresh);
  if (focused) document.querySelector(`#${CSS.escape(focused)} > summary`)?.focus({ preventScroll: true });
}

function put(now, next) {
  if (now.innerHTML !== next.innerHTML) now.replaceChildren(...document.importNode(next, true).childNodes);
}

async function refresh() {
  const answer = await fetch(location.href, { cache: "no-cache", signal: AbortSignal.timeout(GIVE_UP_MS) });
  if (!answer.ok) throw new Error(`the page answers ${answer.status}`);
  const next = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const id of LIVE) swap(document.getElementById(id), before.getElementById(id), next.getElementById(id));
  before = next;
}

// Within `ms`; an earlier one that is due already stays, so that a stream of events cannot push it away for ever.
function refreshIn(ms) {
  if (due <= performance.now() + ms) return;
  clearTimeout(timer);
  due = performance.now() + ms;
  timer = setTimeout(turn, ms);
}

async function turn() {
  due = Infinity;
  if (running) { again = true; return; } // what is on its way may be from before
  running = true;
  await refresh().then(() => line("page", true), () => line("page", false));
  running = false;
  refreshIn(again ? 0 : 1000 * document.getElementById("main").dataset.refreshS * (0.8 + 0.4 * Math.random()));
  again = false;
}

// ---- the line to the service: both the stream and the page have to answer
const up = { stream: true, page: true };

function line(which, works) {
  up[which] = works;
  const banner = document.getElementById("offline");
  const last = document.querySelector("#as-of time").textContent;
  const text = up.stream && up.page ? "" : `${banner.dataset.text} ${last}`;
  if (banner.textContent !== text) banner.textContent = text;
}

function listen() {
  const stream = new EventSource("/api/v1/events");
  stream.onopen = () => { line("stream", true); refreshIn(SLOW_MS * Math.random()); }; // for what was missed
  stream.onerror = () => {
    line("stream", false);
    if (stream.readyState === EventSource.CLOSED) setTimeout(listen, 3000 + 4000 * Math.random());
  };
  stream.addEventListener("alert", () => refreshIn(SLOW_MS * Math.random()));
  stream.addEventListener("situation", (event) => {
    const { area, sentence } = JSON.parse(event.data);
    if (area === AREA) document.getElementById("sentence").textContent = sentence[document.documentElement.lang];
  });
}

document.addEventListener("visibilitychange", () => { if (!document.hidden) refreshIn(0); });
listen();
