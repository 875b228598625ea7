// Elements from names and texts. Text goes in as text nodes: nothing here parses markup, so what
// comes from outside cannot become any.

export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value" || name === "checked") element[name] = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined).map(
    (child) => (child instanceof Node ? child : document.createTextNode(String(child)))));
  return element;
}

export const byId = (id) => document.getElementById(id);

// Replace what `parent` holds only when `key` (what it is made from) has changed: focus, selection
// and open details survive a reading that brings nothing new.
const made = new WeakMap();
export function remake(parent, key, make) {
  const text = JSON.stringify(key);
  if (made.get(parent) === text) return false;
  made.set(parent, text);
  const focused = parent.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  const open = new Set([...parent.querySelectorAll("details[open][data-key]")].map((d) => d.dataset.key));
  parent.replaceChildren(...[make()].flat().filter(Boolean));
  for (const details of parent.querySelectorAll("details[data-key]")) {
    if (open.has(details.dataset.key)) details.open = true;
  }
  if (focused) parent.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
  return true;
}

export function say(text) {
  byId("said").textContent = text;
}

export function table(caption, heads, rows, attributes = {}) {
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    h("table", attributes,
      h("caption", { class: "unseen" }, caption),
      h("thead", {}, h("tr", {}, heads.map((head) => h("th", { scope: "col" }, head)))),
      h("tbody", {}, rows.map((row) => h("tr", {}, row.map((cell, at) =>
        cell instanceof HTMLTableCellElement ? cell : h(at ? "td" : "th", at ? {} : { scope: "row" }, cell)))))));
}
