// The links of messages: #confirm=TOKEN and #manage=TOKEN. A fragment reaches no server and no log; the token goes on in
// a header or a body. Nothing is done without a press of a button: mail scanners open links, and run their scripts.
const API = "/api/v1/subscriptions";
const at = (id) => document.getElementById(id);
// In the reader's language; what has no word of ours stands as it is.
const word = (name) => document.querySelector(`[data-word="${CSS.escape(name)}"]`)?.textContent ?? name;
const say = (name) => { at("said").textContent = name ? word(name) : ""; };
const show = (id) => { for (const one of ["no-link", "confirm", "manage"]) at(one).hidden = one !== id; };

// The other language, with the same link.
const carry = () => { for (const other of document.querySelectorAll("nav a")) other.hash = location.hash; };

async function call(method, path, token, body) {
  const headers = { Accept: "application/json" };
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body) headers["Content-Type"] = "application/json";
  try {
    const answer = await fetch(API + path, { method, headers, body: body && JSON.stringify(body), cache: "no-store" });
    if (answer.ok) return answer.status === 204 ? {} : await answer.json();
    say(answer.status === 401 || answer.status === 422 ? "refused" : "away");
  } catch {
    say("away");
  }
  return null;
}

function list(id, texts) {
  at(id).replaceChildren(...texts.map((text) => Object.assign(document.createElement("li"), { textContent: text })));
}

// Code -> name; without them the codes are shown.
async function areaNames() {
  const name = { vi: "name", en: "name_en" }[document.documentElement.lang];
  try {
    const answer = await fetch("/api/v1/areas");
    return new Map((await answer.json()).areas.map((one) => [one.code, one[name]]));
  } catch {
    return new Map();
  }
}

async function manage(token) {
  const mine = await call("GET", "", token);
  if (!mine) return show("no-link");
  const names = await areaNames();
  const shown = (address) => (address.startsWith("{") ? "…" : address);  // a browser's is no use to a person
  list("contacts", mine.contacts.filter((one) => one.address).map((one) => `${word(one.channel)}: ${shown(one.address)}`));
  list("areas", mine.areas.map((one) => `${names.get(one.code) ?? one.code}: ${Object.keys(one.hazards).map(word).join(", ")}`));
  at("do-end").onclick = async () => { if (await call("POST", "/end", "", { token })) { show(""); say("end_all_done"); } };
  at("do-delete").onclick = async () => {
    if (window.confirm(word("delete_sure")) && await call("DELETE", "", token)) { show(""); say("deleted"); }
  };
  show("manage");
}

function confirmed(token) {
  show("confirm");
  at("do-confirm").onclick = async () => {
    const done = await call("POST", "/confirm", "", { token });
    if (!done) return;
    say("confirmed");
    if (!done.token) return show("");
    history.replaceState(null, "", `#manage=${done.token}`);
    carry();
    await manage(done.token);
  };
}

function begin() {
  say("");
  carry();
  const [use, token] = location.hash.slice(1).split("=");
  if (token && use === "confirm") confirmed(token);
  else if (token && use === "manage") manage(token);
  else show("no-link");
}

addEventListener("hashchange", begin);
begin();
