// Plots over time (uPlot), each with a sentence and a table that say the same.

import { h, table } from "./dom.js";
import { clock, when } from "./words.js";

const SYNC = "understudy";
const FONT = "11px system-ui, sans-serif";
const TABLE_ROWS = 24;

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

function axis(extra = {}) {
  return {
    stroke: colour("muted"), font: FONT, ticks: { show: false }, gap: 4,
    grid: { stroke: colour("line"), width: 1 }, ...extra,
  };
}

function times(u, splits) {
  const span = u.scales.x.max - u.scales.x.min;
  return splits.map((s) => {
    const at = new Date(s * 1000);
    if (span > 2 * 86400) return at.toLocaleDateString("en", { month: "short", day: "numeric" });
    return clock(at);
  });
}

// One plot: `series` are [{name, colour, dash, width, fill}], `bands` [high, low] pairs of series,
// `level` a line across: {at, words}. `write(y)` words a value, `range(min, max)` its scale.
export class Plot {
  constructor({ title, series, bands = [], write, range, level, height = 150, splits }) {
    this.options = { title, series, bands, write, range, level, height, splits };
    this.canvas = h("div", { class: "canvas", role: "img" });
    this.readout = h("p", { class: "readout", "aria-hidden": "true" });
    this.details = h("details", { class: "numbers", "data-key": `table ${title}`, ontoggle: () => this.fillTable() }, h("summary", {}, "As a table"));
    this.element = h("figure", { class: "plot" },
      h("figcaption", {}, h("span", { class: "title" }, title), this.readout), this.canvas, this.details);
    this.onTheme = () => this.build();
    document.addEventListener("theme", this.onTheme);
    this.watch = new ResizeObserver(() => {
      const width = this.canvas.clientWidth;
      if (width > 0 && !this.plot && this.data) this.build();
      else if (this.plot && width > 0 && width !== this.plot.width) this.plot.setSize({ width, height: height });
    });
    this.watch.observe(this.canvas);
  }

  // data: [at, ...one column each]; sentence: what it shows, in words.
  set(data, sentence, level = this.options.level) {
    const isNew = JSON.stringify(level) !== JSON.stringify(this.options.level);
    this.options.level = level;
    this.data = data;
    this.canvas.setAttribute("aria-label", sentence);
    const has = data[0].length > 1 && data.slice(1).some((column) => column.some((y) => y !== null));
    this.element.classList.toggle("bare", !has);
    if (!has) {
      this.plot?.destroy();
      this.plot = null;
      this.canvas.replaceChildren(h("p", { class: "none" }, "A sample comes every 10 s; the line begins with the second."));
    } else if (this.plot && !isNew) {
      this.plot.setData(data);
    } else {
      this.build();
    }
    this.say(null);
    if (this.details.open) this.fillTable();
  }

  build() {
    const width = this.canvas.clientWidth;
    if (!this.data || !width || this.element.classList.contains("bare")) return;
    const { series, bands, write, range, height, splits } = this.options;
    this.plot?.destroy();
    this.canvas.replaceChildren();
    this.plot = new uPlot({
      width, height, legend: { show: false }, padding: [8, 6, 0, 0],
      cursor: { sync: { key: SYNC, setSeries: false }, drag: { x: false, y: false }, points: { size: 5 }, y: false },
      scales: { x: { time: true }, y: { range: (u, low, high) => range(low, high, this.options.level, this.data) } },
      axes: [
        axis({ values: times, space: 64, size: 22, grid: { show: false } }),
        axis({ values: (u, ys) => ys.map((y) => write(y, true)), size: 54, space: 26, ...(splits ? { splits } : {}) }),
      ],
      series: [{}, ...series.map((one) => ({
        label: one.name, stroke: colour(one.colour), width: one.width ?? 1.75, dash: one.dash,
        points: { show: false }, spanGaps: false,
      }))],
      bands: bands.map(([high, low, name]) => ({ series: [high, low], fill: `color-mix(in srgb, ${colour(name)} 18%, transparent)` })),
      hooks: { draw: [(u) => this.drawLevel(u)], setCursor: [(u) => this.say(u.cursor.idx)] },
    }, this.data, this.canvas);
  }

  drawLevel(u) {
    const { level } = this.options;
    if (!level) return;
    const y = Math.round(u.valToPos(level.at, "y", true));
    const { ctx, bbox } = u;
    if (y < bbox.top || y > bbox.top + bbox.height) return;
    ctx.save();
    ctx.strokeStyle = colour("level");
    ctx.lineWidth = devicePixelRatio;
    ctx.setLineDash([5 * devicePixelRatio, 4 * devicePixelRatio]);
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
    ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
    ctx.fillStyle = colour("muted");
    ctx.textAlign = "left";
    const isHigh = y - bbox.top < 16 * devicePixelRatio;
    ctx.textBaseline = isHigh ? "top" : "bottom";
    ctx.strokeStyle = colour("panel");
    ctx.lineWidth = 4 * devicePixelRatio;
    ctx.setLineDash([]);
    ctx.strokeText(level.words, bbox.left + 4 * devicePixelRatio, y + (isHigh ? 3 : -3) * devicePixelRatio);
    ctx.fillText(level.words, bbox.left + 4 * devicePixelRatio, y + (isHigh ? 3 : -3) * devicePixelRatio);
    ctx.restore();
  }

  // What the readout says at index `at`; the latest where the pointer is elsewhere.
  say(at) {
    const { series, write } = this.options;
    const columns = this.data ?? [[]];
    let index = at;
    if (index === null || index === undefined) {
      index = columns[0].length - 1;
      while (index > 0 && columns.slice(1).every((column) => column[index] === null)) index -= 1;
    }
    if (index < 0) { this.readout.replaceChildren(); return; }
    const items = series.map((one, k) => (one.quiet || columns[k + 1] === undefined ? null
      : h("span", { class: `key ${one.colour}` }, `${one.name} ${write(columns[k + 1][index])}`)));
    this.readout.replaceChildren(...[
      at === null || at === undefined ? null : h("span", { class: "at" }, clock(new Date(columns[0][index] * 1000))), ...items,
    ].filter(Boolean));
  }

  fillTable() {
    if (!this.details.open || !this.data) return;
    const { title, series, write } = this.options;
    const [at, ...columns] = this.data;
    const step = Math.max(1, Math.ceil(at.length / TABLE_ROWS));
    const rows = [];
    for (let k = at.length - 1; k >= 0; k -= step) {
      rows.push([when(new Date(at[k] * 1000)), ...columns.map((column) => write(column[k]))]);
    }
    this.details.querySelector(".scroll")?.remove();
    this.details.append(table(`${title}, newest first`, ["Time", ...series.map((one) => one.name)], rows));
  }

  close() {
    document.removeEventListener("theme", this.onTheme);
    this.watch.disconnect();
    this.plot?.destroy();
  }
}

// The ends of a scale on which the width of the first intervals, which know nothing, does not hide
// what came after: of the widest tenth of the intervals only what the others span.
export function settled(high, low) {
  const widths = high.map((y, k) => (y === null || low[k] === null ? null : y - low[k])).filter((w) => w !== null).sort((a, b) => a - b);
  const most = widths[Math.floor(widths.length * 0.85)] ?? Infinity;
  const seen = high.flatMap((y, k) => (y === null || low[k] === null || y - low[k] > most ? [] : [y, low[k]]));
  return seen.length ? [Math.min(...seen), Math.max(...seen)] : null;
}

// A scale around what is seen and what it is compared with, never of no height.
export function around(low, high, level) {
  const seen = [low, high, level?.at].filter((y) => typeof y === "number" && Number.isFinite(y));
  const least = Math.min(...seen);
  const most = Math.max(...seen);
  const pad = (most - least) * 0.12 || Math.abs(most) * 0.2 || 1e-3;
  return [least - pad, most + pad];
}

export function fromZero(low, high) {
  return [0, Number.isFinite(high) && high > 0 ? high * 1.15 : 1];
}
