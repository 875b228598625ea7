// The admin port: single answers, and a stream of events that falls back to asking again and again.
//
// EventSource cannot carry a token, so the stream is read with fetch. The token lives in this
// module, and in sessionStorage only if the person asks for that; it is never part of an address.

const KEY = "understudy.token";
const SILENT_MS = 16_000; // three heartbeats
const POLL_MS = 3_000;
const RETRY_MS = [500, 1_000, 2_000, 4_000, 8_000, 15_000];

let token = "";
try { token = sessionStorage.getItem(KEY) ?? ""; } catch { /* forbidden: memory only */ }

export const hasToken = () => token !== "";

export function keepToken(given, inTab) {
  token = given;
  try {
    if (inTab && given) sessionStorage.setItem(KEY, given);
    else sessionStorage.removeItem(KEY);
  } catch { /* forbidden: memory only */ }
}

export class Refused extends Error {
  constructor(status, error, remedy) {
    super(error);
    this.status = status;
    this.remedy = remedy;
  }
}

const headers = (given = token) => (given ? { Authorization: `Bearer ${given}` } : {});

async function answer(response) {
  let content = {};
  try { content = await response.json(); } catch { /* not JSON: the status has to do */ }
  if (!response.ok) {
    throw new Refused(response.status, content.error ?? `the admin port answered ${response.status}`, content.remedy ?? "");
  }
  return content;
}

export async function get(path, signal) {
  return answer(await fetch(path, { headers: headers(), signal, cache: "no-store" }));
}

export async function post(path, body, given) {
  return answer(await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", ...headers(given || token) },
    body: JSON.stringify(body),
  }));
}

export const routePath = (name, rest = "") => `/v1/routes/${encodeURIComponent(name)}${rest}`;

// Keeps events coming for one route. `on(event, content)`; `tell(state, because)` with live,
// polling, lost or token.
export class Link {
  constructor(on, tell) {
    this.on = on;
    this.tell = tell;
    this.route = null;
    this.turn = 0;
  }

  open(route) {
    this.route = route;
    this.turn += 1;
    this.abort?.abort();
    this.run(this.turn);
  }

  async run(turn) {
    for (let tries = 0; turn === this.turn; tries += 1) {
      const heard = await this.listen(turn);
      if (turn !== this.turn) return;
      if (heard) tries = 0;
      const until = performance.now() + RETRY_MS[Math.min(tries, RETRY_MS.length - 1)];
      do {
        const isThere = await this.poll(turn);
        const left = until - performance.now();
        await pause(isThere && left > POLL_MS ? POLL_MS : Math.max(0, Math.min(left, POLL_MS)), turn, this);
      } while (turn === this.turn && performance.now() < until);
    }
  }

  async listen(turn) {
    this.abort = new AbortController();
    let heard = false;
    let watch;
    const alive = () => {
      clearTimeout(watch);
      watch = setTimeout(() => this.abort.abort(), SILENT_MS);
    };
    try {
      alive();
      const query = this.route === null ? "" : `?route=${encodeURIComponent(this.route)}`;
      const response = await fetch(`/v1/events/stream${query}`, { headers: headers(), signal: this.abort.signal, cache: "no-store" });
      if (!response.ok) return false;
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = "";
      for (;;) {
        const { value, done } = await reader.read();
        if (done || turn !== this.turn) return heard;
        alive();
        const parts = (rest + value).split("\n\n");
        rest = parts.pop();
        for (const part of parts) {
          const found = /^event: (\w+)\ndata: (.*)$/s.exec(part);
          if (!found) continue;
          if (!heard) this.tell("live");
          heard = true;
          this.on(found[1], JSON.parse(found[2]));
        }
      }
    } catch {
      return heard;
    } finally {
      clearTimeout(watch);
    }
  }

  async poll(turn) {
    try {
      const signal = AbortSignal.timeout(10_000);
      const content = await get("/v1/routes", signal);
      const view = this.route === null ? undefined : await get(routePath(this.route, "/view"), signal).catch(missing);
      if (turn !== this.turn) return true;
      this.tell("polling");
      this.on("overview", content.overview);
      this.on("routes", { rows: content.routes, all: true });
      if (view !== undefined) this.on("route", view);
      return true;
    } catch (error) {
      if (turn !== this.turn) return true;
      if (error instanceof Refused && (error.status === 401 || error.status === 403)) this.tell("token", error);
      else this.tell("lost");
      return false;
    }
  }
}

function missing(error) {
  if (error instanceof Refused && error.status === 404) return null;
  throw error;
}

function pause(ms, turn, link) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    const wake = () => { clearTimeout(timer); resolve(); };
    if (turn !== link.turn) wake();
  });
}
