// The acts of a person, and the token that they need. Native dialogs: they keep the focus inside,
// close with Escape, and give it back.

import { Refused, hasToken, keepToken, post, routePath } from "./api.js";
import { byId, h, say } from "./dom.js";

let who = "";

export const ACTS = {
  hold: { name: "Hold", title: "Hold", done: "held", about: "Nothing moves forward until somebody resumes it. Ways back to the champion stay open: a tripped check still rolls back." },
  resume: { name: "Resume", title: "Resume", done: "resumed", about: "It may move by itself again, with the stage\u2019s whole time limit before it." },
  approve: { name: "Approve", title: "Approve", done: "approved", about: "Your approval counts for the present stage. Whoever asked for the challenger cannot approve it." },
  rollback: { name: "Roll back", title: "Roll back", done: "rolled back", about: "The champion gets all traffic, at once. The evidence of this rollout ends; another try begins anew." },
  promote: { name: "Promote\u2026", title: "Promote around the gates", done: "promoted", about: "Challengers are promoted by their evidence. You can go around it for a time, and renew that here; then the champion comes back, unless the checks have passed meanwhile. The record says for ever that you did, and why." },
};

function shut(dialog) {
  dialog.close();
  dialog.remove();
}

function open(dialog) {
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

function tokenFields() {
  const token = h("input", { type: "password", id: "act-token", autocomplete: "off", spellcheck: "false", required: !hasToken(), placeholder: hasToken() ? "the one given before" : "" });
  const keep = h("input", { type: "checkbox", id: "act-keep" });
  return {
    token, keep,
    rows: [
      h("label", { for: "act-token" }, "Token"), token,
      h("label", { class: "tick", for: "act-keep" }, keep, h("span", {}, "keep it for this tab, until it is closed")),
    ],
  };
}

export function askAct(route, act) {
  const words = ACTS[act];
  const fields = tokenFields();
  const name = h("input", { type: "text", id: "act-who", maxlength: "200", value: who, autocomplete: "name" });
  const reason = h("textarea", { id: "act-reason", required: true, maxlength: "2000", rows: "3" });
  const glass = h("input", { type: "checkbox", id: "act-glass", required: true });
  const time = h("select", { id: "act-for" }, ["1h", "4h", "12h", "24h"].map((one) => h("option", { value: one }, one)));
  const failed = h("p", { class: "failed", role: "alert" });
  const send = h("button", { type: "submit", class: act === "rollback" || act === "promote" ? "danger" : "primary" }, words.title);
  const submit = async (event) => {
    event.preventDefault();
    send.disabled = true;
    failed.textContent = "";
    who = name.value.trim();
    const body = { ...(who ? { who } : {}), reason: reason.value, ...(act === "promote" ? { break_glass: glass.checked, for: time.value } : {}) };
    try {
      await post(routePath(route, `/${act}`), body, fields.token.value.trim());
      if (fields.token.value.trim()) keepToken(fields.token.value.trim(), fields.keep.checked);
      shut(dialog);
      say(`${route}: ${words.done}`);
      document.dispatchEvent(new CustomEvent("acted", { detail: route }));
    } catch (error) {
      failed.textContent = error instanceof Refused ? [error.message, error.remedy].filter(Boolean).join(": ") : "No answer came. It may have been done all the same: look at the timeline before you send it again.";
      send.disabled = false;
    }
  };
  const dialog = h("dialog", { class: "act", "aria-labelledby": "act-title" },
    h("form", { onsubmit: submit },
      h("h2", { id: "act-title" }, words.title, " ", h("span", { class: "of" }, route)),
      h("p", { class: "about" }, words.about),
      h("label", { for: "act-who" }, "Your name ", h("span", { class: "note" }, "(empty if the token has one)")), name,
      h("label", { for: "act-reason" }, "Reason, for the record"), reason,
      fields.rows,
      act === "promote" ? [h("label", { for: "act-for" }, "For how long"), time] : null,
      act === "promote" ? h("label", { class: "tick glass", for: "act-glass" }, glass, h("span", {}, "I go around the gates (break-glass)")) : null,
      failed,
      h("div", { class: "buttons" }, h("button", { type: "button", class: "quiet", onclick: () => shut(dialog) }, "Cancel"), send)));
  open(dialog);
  (who ? reason : name).focus();
}

export function askToken(because = "") {
  const fields = tokenFields();
  const submit = (event) => {
    event.preventDefault();
    keepToken(fields.token.value.trim(), fields.keep.checked);
    shut(dialog);
    document.dispatchEvent(new CustomEvent("token"));
  };
  const forget = () => {
    keepToken("", false);
    shut(dialog);
    say("the token is forgotten");
    document.dispatchEvent(new CustomEvent("token"));
  };
  const dialog = h("dialog", { class: "act", "aria-labelledby": "token-title" },
    h("form", { onsubmit: submit },
      h("h2", { id: "token-title" }, "Token"),
      h("p", { class: "about" }, because || "Acts need one. It is sent in a header, never in an address, and stays in this page\u2019s memory."),
      fields.rows,
      h("div", { class: "buttons" },
        hasToken() ? h("button", { type: "button", class: "quiet", onclick: forget }, "Forget it") : null,
        h("button", { type: "button", class: "quiet", onclick: () => shut(dialog) }, "Cancel"),
        h("button", { type: "submit", class: "primary" }, "Use it"))));
  open(dialog);
  fields.token.focus();
}

byId("token").addEventListener("click", () => askToken());
