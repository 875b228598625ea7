// What happened on a route, newest first, each with its evidence and its audit record.

import { get, routePath } from "./api.js";
import { badge } from "./checks.js";
import { h, remake, table } from "./dom.js";
import { PHASES, count, effect, odds, share, shorter, when } from "./words.js";

const PAGE = 30;

export class Timeline {
  constructor(route) {
    this.route = route;
    this.records = [];
    this.isWhole = false;
    this.list = h("ol", { class: "timeline" });
    this.note = h("p", { class: "count", role: "status" });
    this.older = h("button", { type: "button", class: "more", hidden: true, onclick: () => this.more() }, "Older");
    this.element = h("div", {}, this.note, this.list, this.older);
  }

  async refresh() {
    try {
      const { records } = await get(routePath(this.route, `/timeline?limit=${PAGE}`));
      const known = new Map(this.records.map((record) => [record.sequence, record]));
      for (const record of records) known.set(record.sequence, record);
      if (!this.records.length) this.isWhole = records.length < PAGE;
      this.records = [...known.values()].sort((a, b) => b.sequence - a.sequence);
      this.draw();
    } catch (error) {
      this.note.textContent = `The audit could not be read: ${error.message}`;
    }
  }

  async more() {
    const last = this.records.at(-1)?.sequence;
    try {
      const { records } = await get(routePath(this.route, `/timeline?limit=${PAGE}&before=${last}`));
      this.isWhole = records.length < PAGE;
      this.records.push(...records);
      this.draw();
    } catch (error) {
      this.note.textContent = `The audit could not be read: ${error.message}`;
    }
  }

  draw() {
    this.note.textContent = this.records.length ? "" : "Nothing is recorded yet: the first record is the route\u2019s adoption.";
    this.older.hidden = this.isWhole || !this.records.length;
    remake(this.list, this.records.map((record) => record.sequence), () => this.records.map(entry));
  }
}

function entry(record) {
  const moved = record.phase_from !== record.phase_to && record.phase_to;
  const shares = record.share_from !== record.share_to;
  const where = [
    moved ? `${PHASES[record.phase_from] ?? record.phase_from ?? "none"} \u2192 ${PHASES[record.phase_to] ?? record.phase_to}` : null,
    shares ? `${share(record.share_from)} \u2192 ${share(record.share_to)}` : null,
  ].filter(Boolean).join(", ");
  const readings = record.evidence?.readings ?? [];
  const gate = record.evidence?.gate;
  return h("li", { "data-action": record.action },
    h("div", { class: "entry" },
      h("time", { datetime: record.at }, when(record.at)),
      h("span", { class: `action ${record.action}` }, record.action),
      where ? h("span", { class: "where" }, where) : null,
      h("span", { class: "by" }, `by ${record.who}`),
      h("button", { type: "button", class: "record", "data-key": `record ${record.sequence}`, onclick: () => show(record) }, `Record ${record.sequence}`)),
    h("p", { class: "because" }, shorter(record.because)),
    readings.length ? h("details", { "data-key": `evidence ${record.sequence}` },
      h("summary", {}, `Evidence: ${readings.length} checks, ${counts(record.evidence.counts)}`), evidence(readings)) : null,
    gate?.checks?.length ? h("details", { "data-key": `gate ${record.sequence}` },
      h("summary", {}, `What the ${gate.stage} gate found: ${gate.checks.length} checks`), gateTable(gate)) : null);
}

function counts(found = {}) {
  const pairs = found.pairs ? `${count(found.pairs)} pairs` : null;
  const exposed = found.exposures_challenger ? `${count(found.exposures_challenger)} exposures of the challenger` : null;
  return [pairs, exposed].filter(Boolean).join(", ") || "no observation";
}

function evidence(readings) {
  return table("The checks that it rests on", ["Check", "State", "Effect", "Odds", "Seen"], readings.map((one) => [
    one.check, h("td", {}, badge(one.state)),
    one.effect === null ? "\u2013" : `${effect(one.kind, one.effect)} (${effect(one.kind, one.low, { unit: false })} to ${effect(one.kind, one.high, { unit: false })})`,
    one.role === "integrity" ? "\u2013" : odds(one.log_e), count(one.n),
  ]));
}

// What a gate before traffic found: functional, performance, security.
export function gateTable(found) {
  return table(`What the ${found.stage} gate found`, ["Check", "State", "Because"], (found.checks ?? []).map((check) =>
    [check.name, h("td", {}, badge(check.passed ? "passed" : "tripped")), shorter(check.because)]), { class: "wide-last" });
}

function show(record) {
  const rows = [
    ["Sequence", record.sequence], ["Time", record.at], ["Who", record.who], ["Action", record.action],
    ["Because", record.because], ["Challenger", record.challenger ?? "\u2013"],
    ["Table", `${record.table_from} \u2192 ${record.table_to}`], ["Routing file", record.config_digest || "\u2013"],
    ["Artifact", record.artifact ?? "\u2013"], ["Hash", record.hash], ["Hash before", record.previous],
  ];
  const dialog = h("dialog", { class: "record", "aria-labelledby": "record-title" },
    h("div", { class: "record-head" },
      h("h2", { id: "record-title" }, `Audit record ${record.sequence}`),
      h("button", { type: "button", class: "quiet", onclick: () => dialog.close() }, "Close")),
    h("dl", {}, rows.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))),
    h("details", {}, h("summary", {}, "The whole record, as JSON"), h("pre", { tabindex: "0" }, JSON.stringify(record, null, 2))),
    h("p", { class: "about" }, "The chain is checked by ", h("code", {}, "understudy audit verify"), "."));
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
