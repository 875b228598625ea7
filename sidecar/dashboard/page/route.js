// All that is shown of one route. Sections are made once and filled again when what they show
// has changed, so focus, scroll and open tables stay.

import { ACTS, askAct } from "./acts.js";
import { get, routePath } from "./api.js";
import { CheckCard, badge } from "./checks.js";
import { h, remake, table } from "./dom.js";
import { Plot, fromZero } from "./plots.js";
import { Timeline, gateTable } from "./timeline.js";
import { PHASES, count, duration, later, plain, rate, seconds, share, shorter, waits, when } from "./words.js";

const SPANS = { "1h": ["last hour", 10], "24h": ["last day", 60], "7d": ["last 7 days", 300] };
const FIRST_PAIRS = 6;
const RUNNING = new Set(["queued", "functional", "performance", "security", "cold_start", "shadow", "canary", "watch"]);

function section(title, ...children) {
  const id = `s-${title.toLowerCase().replaceAll(/[^a-z]+/g, "-")}`;
  return h("section", { "aria-labelledby": id }, h("div", { class: "section-head" }, h("h2", { id }, title)), ...children);
}

export class RoutePage {
  constructor(name, main) {
    this.name = name;
    this.main = main;
    this.span = "1h";
    this.cards = new Map();
    this.past = null;
    this.isClosed = false;
    main.replaceChildren(h("p", { class: "empty" }, "Asking\u2026"));
  }

  close() {
    this.isClosed = true;
    clearTimeout(this.timer);
    for (const card of this.cards.values()) card.close();
    for (const plot of Object.values(this.plots ?? {})) plot.close();
  }

  build() {
    this.head = h("div", { class: "head" });
    this.held = h("div", { class: "held-note" });
    this.ladder = h("ol", { class: "ladder" });
    this.missing = h("div", { class: "missing" });
    this.sides = h("div", { class: "sides" });
    this.checks = h("div", { class: "checks" });
    this.gate = h("div", { class: "gate" });
    this.health = h("div");
    this.labels = h("div");
    this.pairs = h("div");
    this.timeline = new Timeline(this.name);
    this.plots = {
      per_s: this.trafficPlot("Requests", (y) => rate(y)),
      error_share: this.trafficPlot("Failed, share", (y) => share(y)),
      p99_s: this.trafficPlot("Latency, 99th percentile", (y) => seconds(y)),
    };
    const spans = h("div", { class: "spans", role: "group", "aria-label": "Time shown" }, Object.entries(SPANS).map(([span, [words]]) =>
      h("button", { type: "button", "aria-pressed": String(span === this.span), "data-span": span, onclick: () => this.look(span) }, words)));
    this.spans = spans;
    const variants = section("Variants", this.sides, h("div", { class: "plots three" }, Object.values(this.plots).map((plot) => plot.element)));
    variants.querySelector(".section-head").append(spans);
    this.main.replaceChildren(
      this.head, this.held,
      section("Ladder", this.ladder, this.missing),
      variants,
      section("Checks", this.gate, this.checks),
      h("div", { class: "pair-of-sections" },
        section("Is the evidence sound", this.health),
        section("Labels", this.labels)),
      section("Pairs that disagree most", this.pairs),
      section("Timeline", this.timeline.element));
    this.timeline.refresh();
    this.history();
  }

  trafficPlot(title, write) {
    return new Plot({
      title, write, range: fromZero, height: 130,
      series: [{ name: "champion", colour: "champion" }, { name: "challenger", colour: "challenger", dash: [6, 3] }],
    });
  }

  take(view) {
    if (view === null) {
      this.close();
      this.head = null;
      this.main.replaceChildren(h("div", { class: "empty" }, h("h2", {}, "There is no route of this name"), h("p", {}, this.name, " is not in the routing file that is in force.")));
      return;
    }
    if (!this.head) { this.isClosed = false; this.build(); }
    const { route } = view;
    const moved = JSON.stringify([route.phase, route.step, route.held_by, route.champion]);
    if (this.moved !== undefined && this.moved !== moved) this.timeline.refresh();
    this.moved = moved;
    this.route = route;
    this.drawHead(route);
    this.drawLadder(route);
    this.drawSides(route, view.traffic);
    this.drawChecks(route);
    this.drawHealth(route);
    this.drawLabels(route);
    this.drawPairs(view.disagreements, route);
  }

  refresh() {
    this.timeline?.refresh();
  }

  drawHead(route) {
    const isRunning = RUNNING.has(route.phase);
    const isHeld = Boolean(route.held_by || route.hold_reason);
    const acts = [
      isHeld ? "resume" : isRunning ? "hold" : null,
      route.approval?.is_open && route.approval.given.length < route.approval.needed ? "approve" : null,
      isRunning || route.phase === "promoted" ? "rollback" : null,
      isRunning && (route.phase !== "watch" || route.break_glass) ? "promote" : null,
    ].filter(Boolean);
    const since = route.since ? duration((Date.now() - new Date(route.since)) / 1000) : null;
    const says = !route.challenger ? route.champion ? ["Nobody challenges ", who(route.champion, "champion"), "."] : ["Nobody answers yet."]
      : !route.champion ? [who(route.challenger, "challenger"), " answers everybody: there is no champion yet"]
      : route.phase === "promoted" ? [who(route.challenger, "challenger"), " won the place of the champion and answers everybody."]
        : route.phase === "rolled_back" ? [who(route.champion, "champion"), " answers everybody; ", who(route.challenger, "challenger"), " was rolled back: ", shorter(route.because)]
          : [who(route.challenger, "challenger"), " challenges ", who(route.champion, "champion")];
    remake(this.head, [route.champion, route.challenger, route.phase, since, acts, isRunning ? 0 : route.because, route.held_by, route.hold_reason], () => [
      h("a", { class: "back", href: "#/" }, "\u2039 All routes"),
      h("div", { class: "title-row" },
        h("h2", { class: "route-name" }, this.name),
        h("span", { class: `phase-badge ${route.phase ?? ""}` }, PHASES[route.phase] ?? "no challenger"),
        h("div", { class: "acts" }, acts.map((act) => h("button", { type: "button", "data-key": act, class: act === "rollback" || act === "promote" ? "quiet danger" : "quiet", onclick: () => askAct(this.name, act) }, ACTS[act].name)))),
      h("p", { class: "says" }, ...says, since && isRunning ? `, for ${since} in this step.` : ""),
    ]);
    const glass = route.break_glass;
    remake(this.held, [route.held_by, route.hold_reason, glass && [glass.who, glass.reason, duration(glass.left_s)]], () => [
      isHeld ? h("p", {}, h("strong", {}, route.held_by ? `Held by ${route.held_by}. ` : "Held. "), route.hold_reason) : null,
      glass ? h("p", {}, h("strong", {}, `Promoted around the gates by ${glass.who}, for ${duration(glass.left_s)} more. `), glass.reason) : null,
    ]);
  }

  drawLadder(route) {
    const ladder = route.ladder ?? [];
    remake(this.ladder, [ladder, route.phase], () => ladder.map((rung) => h("li", { class: rung.state, "aria-current": rung.state === "present" ? "step" : undefined },
      h("span", { class: "rung" }, rungName(rung)),
      h("span", { class: "unseen" }, { done: "passed", present: "here now", ahead: "ahead" }[rung.state]),
      h("span", { class: "rung-note" }, rungNote(rung)))));
    const isRunning = RUNNING.has(route.phase);
    const expected = route.expected_seconds;
    const about = expected === null || expected === undefined ? "When it will be decided is not known yet: a check has too little evidence to tell."
      : `A decision is expected in ${duration(expected)} (${later(new Date(), expected)}), at the present traffic.`;
    remake(this.missing, [route.missing, route.approval, isRunning, expected === null || expected === undefined ? null : duration(expected), route.phase], () => {
      if (!isRunning) {
        const words = route.phase === null ? "The file names no challenger for this route. When it names one, its way from the first gate to production shows here."
          : "Nothing is under way. The next challenger of the file begins at the first rung.";
        return [h("p", { class: "quiet-note" }, words)];
      }
      return [
        h("h3", {}, route.missing.length ? "What is missing" : "Nothing is missing for the next step"),
        route.approval ? h("p", {}, approvals(route.approval)) : null,
        route.missing.length ? h("ul", {}, route.missing.map((line) => h("li", {}, waits(line)))) : null,
        h("p", { class: "quiet-note" }, about),
      ];
    });
  }

  drawSides(route, traffic) {
    const rows = [["champion", route.champion], ["challenger", route.challenger]].filter(([, name]) => name);
    const parts = rows.map(([role, name]) => [role, name, traffic?.variants?.[name] ?? null,
      role === "champion" ? (route.phase === "promoted" ? 1 : 1 - (route.share ?? 0)) : route.share]);
    const isPromoted = route.phase === "promoted" || route.champion === route.challenger;
    const shown = isPromoted ? parts.slice(0, 1) : parts;
    remake(this.sides, [shown, route.mirror_share, traffic?.seconds > 0], () => [
      isPromoted || !route.challenger || !route.champion ? null : shareBar(route),
      table(`Both variants in the last ${Math.round(traffic?.seconds ?? 60)} seconds`,
        ["", ...shown.map(([role, name]) => h("span", { class: `who ${role}` }, h("span", { class: "swatch", "aria-hidden": "true" }), name, h("span", { class: "note" }, ` ${role}`)))],
        [
          ["Share of users", ...shown.map(([role, , , part]) => (role === "challenger" && route.mirror_share ? `${share(part)}, copies of ${share(route.mirror_share)}` : share(part)))],
          ["Requests", ...shown.map(([, , seen]) => rate(seen?.per_s))],
          ["Failed", ...shown.map(([, , seen]) => (seen?.requests ? `${share(seen.error_share)} (${count(seen.errors)})` : "\u2013"))],
          ["Latency, median", ...shown.map(([, , seen]) => seconds(seen?.p50_s))],
          ["Latency, 99th percentile", ...shown.map(([, , seen]) => seconds(seen?.p99_s))],
        ], { class: "versus" }),
    ]);
  }

  drawChecks(route) {
    const shown = (route.checks ?? []).filter((check) => check.role !== "integrity");
    const elapsed = route.began ? (Date.now() - new Date(route.began)) / 1000 : null;
    for (const [name, card] of this.cards) {
      if (!shown.some((check) => check.check === name)) { card.close(); card.element.remove(); this.cards.delete(name); }
    }
    for (const check of shown) {
      let card = this.cards.get(check.check);
      if (!card) {
        card = new CheckCard();
        this.cards.set(check.check, card);
        this.checks.append(card.element);
      }
      const bar = route.bars?.[check.check] ?? null;
      const was = card.bar;
      card.set(check, elapsed, bar);
      if (!card.effects || was !== bar) card.draw(this.past);
    }
    this.drawGate(route);
    this.noChecks ??= h("p", { class: "quiet-note" });
    this.noChecks.textContent = route.phase === null || !RUNNING.has(route.phase)
      ? "Checks read while a challenger is under way."
      : "Checks begin with the first request that the challenger gets: in the shadow stage, or in the canary where there is none.";
    if (shown.length) this.noChecks.remove();
    else if (!this.noChecks.isConnected) this.checks.append(this.noChecks);
  }

  // What a gate before traffic found: functional, performance, security.
  drawGate(route) {
    const found = route.gate;
    remake(this.gate, found ?? null, () => (found?.checks?.length ? [
      h("p", { class: "because" }, `The ${found.stage} gate: ${found.because}`), gateTable(found),
    ] : []));
  }

  drawHealth(route) {
    const names = { srm: "Split is as asked (SRM)", readable: "Answers can be read", harm: "No harm", delivery: "Nothing is lost on the way" };
    const shown = (route.checks ?? []).filter((check) => check.role === "integrity");
    remake(this.health, shown, () => (shown.length
      ? table("Checks of the evidence itself", ["Check", "State", "Because"], shown.map((check) => [names[check.check] ?? check.check, h("td", {}, badge(check.state)), check.because]), { class: "wide-last" })
      : h("p", { class: "quiet-note" }, "Split, readability, harm and delivery are checked from the first observation on.")));
  }

  drawLabels(route) {
    const at = route.maturing;
    const taken = route.labels ?? {};
    const needs = (route.checks ?? []).some((check) => check.needs_labels);
    remake(this.labels, [at, taken, needs], () => {
      if (!at || !needs) return h("p", { class: "quiet-note" }, at ? "No check of this route waits for labels." : "Labels are counted while a challenger is under way.");
      const total = Math.max(1, at.waiting + at.judged);
      const refused = ["duplicate", "conflict", "unknown", "late", "invalid", "forged"].filter((word) => taken[word]).map((word) => `${count(taken[word])} ${word}`);
      return [
        table("Observations, by where they are", ["Observations", "Number", "Share"], [
          ["Waiting to be old enough", count(at.waiting), share(at.waiting / total)],
          ["Judged with their label", count(at.judged - at.missing - at.needless), share((at.judged - at.missing - at.needless) / total)],
          ["Judged without one", count(at.missing), share(at.missing / total)],
          ...(at.needless ? [["Not wanted", count(at.needless), share(at.needless / total)]] : []),
        ]),
        h("p", { class: "quiet-note" },
          at.waiting ? `The oldest waits for ${duration(at.oldest_s)}; of the ${count(at.looked_at)} oldest, ${count(at.labelled)} have their label. ` : "",
          `Labels since the start: ${count((taken.accepted ?? 0) + (taken.corrected ?? 0))} taken${refused.length ? `, ${refused.join(", ")}` : ""}.`),
      ];
    });
  }

  drawPairs(found, route) {
    remake(this.pairs, [found, RUNNING.has(route.phase)], () => {
      if (!found || found.show === "nothing") {
        return h("p", { class: "quiet-note" }, "The routing file keeps answers from this page. ", h("code", {}, "dashboard: {show: predictions}"), " on the route shows what both variants predicted, and never more than that.");
      }
      if (!found.pairs.length) {
        return h("p", { class: "quiet-note" }, found.compared ? `${count(found.compared)} pairs were compared, and all agree.` : "Pairs appear here while requests are mirrored to the challenger (the shadow stage) and a metric reads the prediction.");
      }
      const isMeasured = found.pairs.some((pair) => pair.apart !== 1);
      const rows = found.pairs.map((pair) => [h("th", { scope: "row" }, h("code", {}, pair.request_id)), when(pair.at), h("td", {}, h("code", {}, pair.champion)), h("td", {}, h("code", {}, pair.challenger)), ...(isMeasured ? [plain(pair.apart)] : [])]);
      const heads = ["Request", "Seen", who("Champion", "champion"), who("Challenger", "challenger"), ...(isMeasured ? ["Apart"] : [])];
      return [
        h("p", { class: "quiet-note" }, `${count(found.differ)} of ${count(found.compared)} pairs of this experiment differ (${share(found.differ / found.compared)}), seen since the controller started. The farthest apart, the latest first.`),
        table("Pairs that disagree most", heads, rows.slice(0, FIRST_PAIRS), { class: "pairs" }),
        rows.length > FIRST_PAIRS ? h("details", { "data-key": "more pairs" }, h("summary", {}, `${rows.length - FIRST_PAIRS} more`),
          table("More pairs that disagree", [...heads.slice(0, 2), "Champion", "Challenger", ...heads.slice(4)], rows.slice(FIRST_PAIRS), { class: "pairs" })) : null,
      ];
    });
  }

  look(span) {
    this.span = span;
    for (const button of this.spans.children) button.setAttribute("aria-pressed", String(button.dataset.span === span));
    this.history();
  }

  async history() {
    clearTimeout(this.timer);
    const { span } = this;
    try {
      const past = await get(routePath(this.name, `/history?span=${span}`));
      if (this.isClosed || span !== this.span) return;
      this.past = past;
      this.drawPast();
    } catch { /* the connection's state is shown elsewhere; the plots stay as they are */ }
    if (!this.isClosed && span === this.span) this.timer = setTimeout(() => this.history(), SPANS[span][1] * 1000);
  }

  drawPast() {
    const { past, route } = this;
    const none = past.at.map(() => null);
    for (const [field, plot] of Object.entries(this.plots)) {
      const one = past.variants[route?.champion]?.[field] ?? none;
      const other = past.variants[route?.challenger]?.[field] ?? none;
      const now = (column) => plot.options.write(column.findLast((y) => y !== null) ?? null);
      plot.set([past.at, one, route?.challenger === route?.champion ? none : other],
        `${plot.options.title} in the ${SPANS[this.span][0]}: champion now ${now(one)}, challenger now ${now(other)}.`);
    }
    for (const card of this.cards.values()) card.draw(past);
  }
}

const who = (name, role) => h("span", { class: `who ${role}` }, h("span", { class: "swatch", "aria-hidden": "true" }), name);

function approvals({ given, needed }) {
  const names = given.map((one) => one.who).join(", ");
  return `Approvals: ${given.length} of ${needed}${names ? ` (${names})` : ""}`;
}

function rungName(rung) {
  if (rung.stage === "canary") return share(rung.share);
  return rung.stage;
}

function rungNote(rung) {
  if (rung.stage === "canary") return "canary";
  if (rung.stage === "shadow") return `copies of ${share(rung.share)}`;
  if (rung.stage === "production") return rung.for_at_least_s ? `watched ${duration(rung.for_at_least_s)}` : "";
  return "before traffic";
}

function shareBar(route) {
  const part = route.share ?? 0;
  const bar = h("div", { class: "share-bar", role: "img", "aria-label": `${share(1 - part)} of the users are served by ${route.champion}, ${share(part)} by ${route.challenger}` },
    h("span", { class: "champion" }), h("span", { class: "challenger" }));
  bar.firstChild.style.setProperty("flex-grow", String(1 - part));
  bar.lastChild.style.setProperty("flex-grow", String(part));
  return bar;
}
