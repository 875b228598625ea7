// Wires the page: what is looked at (the address's #/routes/NAME), the connection, the theme.

import "./theme.js";
import { Link } from "./api.js";
import { askToken } from "./acts.js";
import { byId, h, remake, say } from "./dom.js";
import { List } from "./list.js";
import { RoutePage } from "./route.js";
import { duration, plural } from "./words.js";

const list = new List();
const main = byId("main");
let page = null;
let overview = null;
let lostAt = null;
let state = "starting";

const link = new Link(take, tell);

function wanted() {
  const found = /^#\/routes\/(.+)$/.exec(location.hash);
  try { return found ? decodeURIComponent(found[1]) : null; } catch { return null; }
}

function go() {
  const name = wanted();
  if (name === null && location.hash && !location.hash.startsWith("#/")) return;
  page?.close();
  page = name === null ? null : new RoutePage(name, main);
  document.title = name === null ? "Understudy" : `${name} \u00b7 Understudy`;
  byId("split").classList.toggle("one", name !== null);
  list.select(name);
  if (name === null) welcome();
  link.open(name);
}

function welcome() {
  main.replaceChildren(h("div", { class: "empty" },
    h("h2", {}, "Choose a route"),
    h("p", {}, "It shows who answers, who wants its place, what the evidence says so far, and what is missing.")));
}

function take(event, content) {
  if (event === "overview") facts(content);
  else if (event === "routes") {
    list.take(content);
    // With one route there is nothing to choose.
    if (wanted() === null && list.rows.size === 1 && !matchMedia("(max-width: 760px)").matches) {
      location.replace(`#/routes/${encodeURIComponent([...list.rows.keys()][0])}`);
    }
  } else if (event === "route") page?.take(content);
}

function facts(content) {
  overview = content;
  const parts = [
    `table ${content.table_version ?? "\u2013"}`, plural(content.routers ?? 0, "router"),
    content.config_digest ? `file ${String(content.config_digest).slice(0, 8)}` : "no file in force",
  ];
  if (byId("facts").textContent !== parts.join(" \u00b7 ")) byId("facts").textContent = parts.join(" \u00b7 ");
  alarms();
}

function tell(now, error) {
  if (now === "token" && state !== "token") askToken(`${error.message}: ${error.remedy}`);
  if (now === "lost") lostAt ??= Date.now();
  else lostAt = null;
  if (now !== state && (now === "lost" || state === "lost")) say(now === "lost" ? "connection lost" : "connected again");
  state = now;
  alarms();
}

const WORDS = { starting: "connecting", live: "live", polling: "every 3 s", lost: "not connected", token: "token needed" };

function alarms() {
  const where = byId("connection");
  if (where.dataset.state !== state) {
    where.dataset.state = state;
    where.textContent = WORDS[state];
  }
  document.body.classList.toggle("lost", state === "lost");
  const lines = [];
  if (state === "lost") lines.push(`Connection lost ${duration((Date.now() - lostAt) / 1000)} ago. What you see is older than that; trying again.`);
  if (overview?.config_error) lines.push(`The routing file on the disk is not in force: ${overview.config_error}`);
  if (overview?.store_error) lines.push(`The state cannot be written, so nothing is promoted: ${overview.store_error}`);
  if (overview?.unrecorded) lines.push(`${plural(overview.unrecorded, "rollback")} in force and not recorded yet.`);
  if (overview?.stale_s) lines.push(`The controller does not answer; this is ${duration(overview.stale_s)} old.`);
  if (overview?.labels_from && !overview.labels_from.connected) lines.push(`No labels come from the broker: ${overview.labels_from.error ?? "not connected"}`);
  remake(byId("alarms"), lines, () => lines.map((line) => h("p", {}, line)));
}

setInterval(() => { if (state === "lost") alarms(); }, 5_000);
window.addEventListener("hashchange", () => { go(); if (wanted() !== null) main.focus({ preventScroll: true }); scrollTo(0, 0); });
document.addEventListener("token", () => link.open(wanted()));
document.addEventListener("acted", () => page?.refresh());
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, textarea, select, dialog")) return;
  event.preventDefault();
  byId("search").focus();
});
byId("skip").addEventListener("click", (event) => { event.preventDefault(); main.focus(); });
go();
