// Numbers, times and states as people read them.

const MINUS = "\u2212";
const POINTS = new Set(["correct", "error", "latency", "agreement", "precision", "recall", "f1", "auc"]);

export const STATES = {
  passed: { sign: "\u2713", word: "passed" },
  undecided: { sign: "\u2026", word: "undecided" },
  tripped: { sign: "\u2715", word: "tripped" },
  unknown: { sign: "?", word: "unknown" },
};

export const PHASES = {
  queued: "queued", functional: "functional", performance: "performance", security: "security", cold_start: "cold start",
  shadow: "shadow", canary: "canary", watch: "watch", promoted: "promoted", rolled_back: "rolled back",
};

export const isNumber = (x) => typeof x === "number" && Number.isFinite(x);

export function signed(x, digits) {
  const text = Math.abs(x).toFixed(digits);
  return (Number(text) === 0 ? "" : x < 0 ? MINUS : "+") + text;
}

export function plain(x, digits = 3) {
  if (!isNumber(x)) return "\u2013";
  const text = Math.abs(x) >= 1e5 || (x !== 0 && Math.abs(x) < 1e-3)
    ? Math.abs(x).toExponential(1) : String(Number(Math.abs(x).toPrecision(digits)));
  return (x < 0 ? MINUS : "") + text;
}

export const isPoints = (kind) => POINTS.has(kind);

// An effect with its unit: points (of a hundred) where it is a difference of shares.
export function effect(kind, x, { unit = true } = {}) {
  if (!isNumber(x)) return "\u2013";
  if (!isPoints(kind)) return (x > 0 ? "+" : "") + plain(x);
  const digits = Math.abs(x) < 0.001 ? 3 : Math.abs(x) < 0.1 ? 2 : 1;
  return signed(x * 100, digits) + (unit ? "\u00a0pt" : "");
}

export function count(n) {
  return isNumber(n) ? Math.round(n).toLocaleString("en").replaceAll(",", "\u202f") : "\u2013";
}

export function share(x, digits) {
  if (!isNumber(x)) return "\u2013";
  const percent = Math.round(x * 1e6) / 1e4;
  const places = digits ?? (percent === 0 || percent >= 10 ? (Number.isInteger(percent) ? 0 : 1) : percent >= 1 ? (Number.isInteger(percent) ? 0 : 1) : 2);
  return `${percent.toFixed(places)}\u00a0%`;
}

export function seconds(s) {
  if (!isNumber(s)) return "\u2013";
  if (s < 1) return `${Number((s * 1000).toPrecision(3))}\u00a0ms`;
  return `${Number(s.toPrecision(3))}\u00a0s`;
}

export function rate(perSecond) {
  if (!isNumber(perSecond)) return "\u2013";
  return perSecond >= 1 || perSecond === 0 ? `${plain(perSecond)}\u00a0/s` : `${plain(perSecond * 60)}\u00a0/min`;
}

// What a stage waits for, with its seconds as people count them.
export function waits(line) {
  return line
    .replace(/^time: (\d+) of (\d+) s have passed$/, (_, at, of) => `time: ${duration(Number(at))} of ${duration(Number(of))} in this step`)
    .replace(/^exposures_challenger: /, "exposures of the challenger: ");
}

export function duration(s) {
  if (!isNumber(s)) return "unknown";
  if (s < 90) return `${Math.max(0, Math.round(s))}\u00a0s`;
  if (s < 90 * 60) return `${Math.round(s / 60)}\u00a0min`;
  if (s < 36 * 3600) return `${Math.round(s / 3600)}\u00a0h`;
  return `${(s / 86400).toFixed(s < 10 * 86400 ? 1 : 0)}\u00a0d`;
}

export const MOST_ODDS = 9 * Math.LN10; // nobody needs more; the admin port cuts them there too

// A sentence of the evaluator's, its longest numbers as powers of ten.
export const shorter = (text) => String(text ?? "").replace(/\b(\d{7,})(?=:1\b)/g, (digits) => `10${power(digits.length - 1)}`);

export function odds(logE) {
  if (!isNumber(logE)) return "\u2013";
  if (logE >= MOST_ODDS) return "over 10\u2079:1";
  const size = Math.exp(Math.min(Math.abs(logE), MOST_ODDS));
  const text = size < 10 ? String(Number(size.toFixed(1))) : size < 1e5 ? count(size) : `10${power(Math.round(Math.log10(size)))}`;
  return logE >= 0 ? `${text}:1` : `1:${text}`;
}

const power = (n) => String(n).replace(/\d/g, (d) => "\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079"[d]);

const two = (n) => String(n).padStart(2, "0");

export function clock(at) {
  return `${two(at.getHours())}:${two(at.getMinutes())}`;
}

export function when(iso) {
  const at = new Date(iso);
  if (Number.isNaN(at.getTime())) return String(iso ?? "");
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${clock(at)}:${two(at.getSeconds())}`;
}

export function later(from, s) {
  const at = new Date(from.getTime() + s * 1000);
  return s < 20 * 3600 ? `at ${clock(at)}` : `on ${at.toLocaleDateString("en", { weekday: "short", day: "numeric", month: "short" })}, ${clock(at)}`;
}

export const plural = (n, one, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;
