// Light or dark: the system's, unless the person chose one.

import { byId } from "./dom.js";

const KEY = "understudy.theme";
const select = byId("theme");
select.value = document.documentElement.dataset.theme ?? "";

select.addEventListener("change", () => {
  if (select.value) document.documentElement.dataset.theme = select.value;
  else delete document.documentElement.dataset.theme;
  try {
    if (select.value) localStorage.setItem(KEY, select.value);
    else localStorage.removeItem(KEY);
  } catch { /* forbidden: for this page only */ }
  document.dispatchEvent(new CustomEvent("theme"));
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => document.dispatchEvent(new CustomEvent("theme")));
