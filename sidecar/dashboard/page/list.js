// The list of routes: searched, filtered, the newest state of each, a page of rows at a time.

import { byId, h } from "./dom.js";
import { PHASES, count, plural, share } from "./words.js";

const PAGE = 100;
const RUNNING = new Set(["queued", "functional", "performance", "security", "cold_start", "shadow", "canary", "watch"]);

export class List {
  constructor() {
    this.rows = new Map();
    this.items = new Map();
    this.shown = PAGE;
    this.current = null;
    this.isLoaded = false;
    byId("search").addEventListener("input", () => this.restart());
    byId("filter").addEventListener("change", () => this.restart());
    byId("more").addEventListener("click", () => {
      const first = this.shown;
      this.shown += PAGE;
      this.draw();
      byId("routes").children[first]?.querySelector("a")?.focus();
    });
    byId("search").addEventListener("keydown", (event) => {
      if (event.key === "ArrowDown") this.step(event, -1, 1);
      if (event.key === "Enter") byId("routes").querySelector("a")?.click();
    });
    byId("routes").addEventListener("keydown", (event) => {
      const links = [...byId("routes").querySelectorAll("a")];
      const at = links.indexOf(document.activeElement);
      if (event.key === "ArrowDown") this.step(event, at, 1);
      if (event.key === "ArrowUp") this.step(event, at, -1);
      if (event.key === "Home") this.step(event, 0, 0);
      if (event.key === "End") this.step(event, links.length - 1, 0);
    });
  }

  step(event, at, by) {
    event.preventDefault();
    const links = byId("routes").querySelectorAll("a");
    if (at + by < 0) byId("search").focus();
    else links[Math.min(links.length - 1, at + by)]?.focus();
  }

  restart() {
    this.shown = PAGE;
    this.draw();
  }

  take({ rows, gone = [], all = false }) {
    if (all) this.rows.clear();
    for (const name of gone) this.rows.delete(name);
    for (const row of rows) this.rows.set(row.name, row);
    this.isLoaded = true;
    this.draw();
  }

  select(name) {
    this.current = name;
    for (const [key, item] of this.items) mark(item, key === name);
  }

  found() {
    const wanted = byId("search").value.trim().toLowerCase();
    const keep = FILTERS[byId("filter").value] ?? FILTERS.all;
    return [...this.rows.values()].filter((row) => keep(row)
      && (!wanted || [row.name, row.champion, row.challenger].some((text) => text && text.toLowerCase().includes(wanted))));
  }

  draw() {
    const found = this.found();
    const visible = found.slice(0, this.shown);
    const list = byId("routes");
    const kept = new Map();
    visible.forEach((row) => {
      const item = this.items.get(row.name) ?? h("li");
      const key = JSON.stringify(row);
      if (item.dataset.made !== key) {
        const hadFocus = item.contains(document.activeElement);
        item.replaceChildren(link(row));
        item.dataset.made = key;
        mark(item, row.name === this.current);
        if (hadFocus) item.firstChild.focus();
      }
      kept.set(row.name, item);
    });
    this.items = kept;
    const now = [...kept.values()];
    if (now.length !== list.children.length || now.some((item, at) => item !== list.children[at])) list.replaceChildren(...now);
    const rest = found.length - visible.length;
    const more = byId("more");
    more.hidden = rest <= 0;
    more.textContent = `Show ${count(Math.min(PAGE, rest))} more`;
    const words = !this.isLoaded ? "" : this.rows.size === 0 ? "No route yet: they appear as soon as a routing file is in force."
      : found.length === this.rows.size ? plural(found.length, "route")
        : `${count(found.length)} of ${plural(this.rows.size, "route")}`;
    if (byId("count").textContent !== words) byId("count").textContent = words;
  }
}

const FILTERS = {
  all: () => true,
  running: (row) => RUNNING.has(row.phase),
  attention: (row) => row.held || row.tripped.length > 0,
  idle: (row) => !RUNNING.has(row.phase),
};

function mark(item, isCurrent) {
  const anchor = item.firstChild;
  if (isCurrent) anchor.setAttribute("aria-current", "page");
  else anchor.removeAttribute("aria-current");
}

function link(row) {
  const isRunning = RUNNING.has(row.phase);
  const flag = row.tripped.length ? h("span", { class: "flag tripped" }, "\u2715 tripped")
    : row.held ? h("span", { class: "flag held" }, "\u2016 held") : null;
  const where = row.phase === "canary" ? `canary ${share(row.share)}` : PHASES[row.phase] ?? "no challenger";
  const passed = isRunning && row.checks ? h("span", { class: "tally", title: "checks passed" }, `${row.passed}/${row.checks}`) : null;
  return h("a", { href: `#/routes/${encodeURIComponent(row.name)}` },
    h("span", { class: "name" }, row.name), flag,
    h("span", { class: "sub" },
      h("span", { class: `phase ${isRunning ? "on" : ""}` }, where),
      h("span", { class: "who" }, row.challenger && row.phase !== "promoted" ? `${row.champion ?? "none"} \u2190 ${row.challenger}` : row.champion ?? ""),
      passed));
}
