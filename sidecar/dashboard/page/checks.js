// Each check: its effect with the confidence sequence, its odds, how far it is, and both over time.

import { h, remake } from "./dom.js";
import { Plot, around, settled } from "./plots.js";
import { MOST_ODDS, STATES, count, duration, effect, isPoints, odds, plain, shorter } from "./words.js";

const ROLES = {
  objective: "must improve", guardrail: "must not worsen", proxy: "may hold or roll back", integrity: "is the evidence sound",
};

export const badge = (state) => h("span", { class: `badge ${state}` },
  h("span", { "aria-hidden": "true" }, STATES[state]?.sign ?? "?"), ` ${STATES[state]?.word ?? state}`);

const range = (check) => `${effect(check.kind, check.low, { unit: false })} to ${effect(check.kind, check.high, { unit: false })}`;

// At the present rate, in how many seconds as many observations are there as decide 8 times in 10.
export function rest(check, elapsed) {
  if (check.state !== "undecided" || !check.n || check.n_expected === null || !(elapsed > 0)) return null;
  return Math.max(0, (check.n_expected - check.n) * elapsed / check.n);
}

export class CheckCard {
  constructor() {
    this.top = h("div", { class: "check-top" });
    this.plots = h("div", { class: "plots" });
    this.element = h("article", { class: "check" }, this.top, this.plots);
  }

  // `bar`: what its effect must exceed to pass; null where there is no such number.
  set(check, elapsed, bar) {
    this.bar = bar;
    this.check = check;
    this.element.dataset.state = check.state;
    this.element.setAttribute("aria-label", `check ${check.check}`);
    const left = rest(check, elapsed);
    const wanted = -Math.log(check.alpha);
    remake(this.top, [check, left === null ? null : duration(left)], () => [
      h("div", { class: "check-head" },
        h("h3", {}, check.check), badge(check.state),
        h("span", { class: "role" }, `${check.role}: ${ROLES[check.role] ?? ""}`)),
      h("dl", { class: "figures" },
        figure("Effect", effect(check.kind, check.effect), check.effect === null ? "no evidence yet" : `${range(check)}${isPoints(check.kind) ? "\u00a0pt" : ""}`),
        figure("Odds", odds(check.log_e), `${odds(wanted)} wanted`, progress(check)),
        figure("Seen", count(check.n), check.n_expected === null ? "need not known" : check.state === "passed" ? "enough" : `of about ${count(check.n_expected)}`),
        figure("Decision", check.state === "passed" ? "passed" : check.state === "tripped" ? "tripped" : left === null ? "unknown" : left <= 0 ? "any moment" : `in ${duration(left)}`,
          check.state === "undecided" && left !== null ? "at this rate" : check.needs_labels ? "needs labels" : "")),
      h("p", { class: "because" }, shorter(check.because)),
    ]);
  }

  // columns of the history: {at, checks: {name: {...}}}
  draw(past) {
    const { check } = this;
    const found = past?.checks?.[check.check];
    const has = (check.effect !== null && check.effect !== undefined) || found?.effect.some((y) => y !== null);
    if (!has) return;
    if (!this.effects) this.make(check);
    const at = past?.at ?? [];
    const none = at.map(() => null);
    const level = this.bar === null ? null
      : { at: this.bar, words: this.bar === 0 ? "no difference" : `least that passes, ${effect(check.kind, this.bar)}` };
    this.effects.set([at, found?.effect ?? none, found?.high ?? none, found?.low ?? none],
      `Effect of ${check.check}: now ${effect(check.kind, check.effect)}, between ${range(check)}; ${STATES[check.state]?.word}.`, level);
    const wanted = -Math.log10(check.alpha);
    this.odds.set([at, (found?.log_e ?? none).map((y) => (y === null ? null : Math.min(y, MOST_ODDS) / Math.LN10))],
      `Odds against the null of ${check.check}: now ${odds(check.log_e)}, ${odds(wanted * Math.LN10)} wanted.`,
      { at: wanted, words: `${odds(wanted * Math.LN10)} passes` });
  }

  make(check) {
    this.effects = new Plot({
      title: "Effect, challenger minus champion",
      series: [
        { name: "effect", colour: "challenger" },
        { name: "up to", colour: "edge", width: 0.75 },
        { name: "at least", colour: "edge", width: 0.75 },
      ],
      bands: [[2, 3, "challenger"]],
      write: (y, isAxis) => (isAxis && isPoints(check.kind) ? `${plain(y * 100, 2)} pt` : effect(check.kind, y)),
      range: (low, high, level, [, , highs, lows]) => around(...(settled(highs, lows) ?? [low, high]), level),
    });
    this.odds = new Plot({
      title: "Odds against the null",
      series: [{ name: "odds", colour: "evidence" }],
      write: (y, isAxis) => (y === null || y === undefined ? "\u2013" : odds(y * Math.LN10).replace(isAxis ? "over " : "", "")),
      range: (low, high, level) => around(Math.max(Math.min(low ?? 0, 0), -6), high ?? 0, level),
      splits: (u) => wholes(u.scales.y.min, u.scales.y.max),
    });
    this.plots.append(this.effects.element, this.odds.element);
  }

  close() {
    this.effects?.close();
    this.odds?.close();
  }
}

// Whole powers of ten, at most five of them.
function wholes(low, high) {
  const step = Math.max(1, Math.ceil((high - low) / 5));
  const found = [];
  for (let y = Math.ceil(low / step) * step; y <= high; y += step) found.push(y);
  return found;
}

function figure(name, value, note, extra = null) {
  return h("div", {}, h("dt", {}, name), h("dd", {}, h("strong", {}, value), note ? h("span", { class: "note" }, note) : null, extra));
}

function progress(check) {
  const bar = h("span", { class: "progress", role: "img", "aria-label": `${Math.round(check.progress * 100)} % of the way to passing` }, h("span"));
  bar.firstChild.style.setProperty("inline-size", `${check.progress * 100}%`);
  return bar;
}
