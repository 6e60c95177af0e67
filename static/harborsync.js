// What HTML and htmx leave to do: dialogs, quiet ticks, announcements, the viewer's time zone. Texts come from the server.
"use strict";

const byId = (id) => document.getElementById(id);

// --- the viewer's time zone: the server shows times in it from the next page on
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
if (zone && !document.cookie.split("; ").includes(`time_zone=${zone}`)) {
  document.cookie = `time_zone=${zone};path=/;max-age=31536000;SameSite=Lax`;
}

// --- what has changed is said once, politely
let announced = null;

function announce(text) {
  const line = byId("announcement");
  if (line) line.textContent = text;
}

function announceChanges() {
  const said = [...document.querySelectorAll("[data-announce]")].map((element) => element.dataset.announce).join(". ");
  if (announced !== null && said !== announced) announce(said);
  announced = said;
}

// --- trouble: a request that failed is said, and taken back when the next one works
function showTrouble(text) {
  const line = byId("trouble");
  if (!line) return;
  line.hidden = !text;
  line.textContent = text || "";
}

document.addEventListener("htmx:sendError", () => showTrouble(document.body.dataset.noAnswer));
document.addEventListener("htmx:timeout", () => showTrouble(document.body.dataset.noAnswer));
document.addEventListener("htmx:responseError", () => showTrouble(document.body.dataset.refused));

// --- quiet ticks: ask with the tag of what is shown, so that an unchanged part is neither sent nor swapped
const tags = new Map();
const tagKey = (config, target) => `${config.path} ${target ? target.id : ""}`;

document.addEventListener("htmx:configRequest", (event) => {
  const { detail } = event;
  const tag = tags.get(tagKey(detail, detail.target));
  if (tag && detail.elt.hasAttribute("data-live")) detail.headers["If-None-Match"] = tag;
  // An address says what was chosen, not what was left open.
  if (!detail.elt.matches("form.filter")) return;
  for (const [name, value] of [...detail.formData]) if (!value) detail.formData.delete(name);
});

document.addEventListener("htmx:afterRequest", (event) => {
  const { xhr, target, requestConfig } = event.detail;
  if (!xhr || !xhr.status) return;
  if (xhr.status < 400) showTrouble("");
  const tag = xhr.getResponseHeader("ETag");
  if (tag && xhr.status === 200 && requestConfig.verb === "get") tags.set(tagKey(requestConfig, target), tag);
});

// A part that the viewer is using (an open menu, a selection) waits for the next tick.
document.addEventListener("htmx:beforeSwap", (event) => {
  const { target, requestConfig } = event.detail;
  const isTick = requestConfig.elt.hasAttribute("data-live") && requestConfig.elt === target;
  const selection = document.getSelection();
  const isUsed = target.querySelector("details[open]") || (!selection.isCollapsed && target.contains(selection.anchorNode));
  if (isTick && isUsed) {
    event.detail.shouldSwap = false;
    tags.delete(tagKey(requestConfig, target));
  }
});

// --- logs that are read at their end stay at their end
const isAtEnd = (log) => log.scrollHeight - log.scrollTop - log.clientHeight < 40;
let followed = [];
document.addEventListener("htmx:beforeSwap", () => {
  followed = [...document.querySelectorAll(".log")].filter(isAtEnd);
});

const scrollToEnd = (logs) => logs.forEach((log) => (log.scrollTop = log.scrollHeight));

// --- dialogs: what is swapped into <dialog> opens it; without this script its links lead to pages
// (with the swap itself: Escape between the swap and its settling would be undone by a dialog that opens only then)
document.addEventListener("htmx:afterSwap", (event) => {
  const dialog = byId("dialog");
  if (event.detail.target === dialog && !dialog.open) dialog.showModal();
});

document.addEventListener("htmx:afterSettle", (event) => {
  const dialog = byId("dialog");
  if (event.detail.target === dialog) focusFirst(dialog);
  if (event.detail.target.hasAttribute("data-show")) event.detail.target.scrollIntoView({ block: "nearest" });
  scrollToEnd(followed.filter((log) => log.isConnected));
  keepFocusNear(event.detail.requestConfig?.elt);
  announceChanges();
});

// The button of a row that was removed went with it: the one that adds rows is the nearest.
function keepFocusNear(pressed) {
  const rows = /^remove-([a-z]+)-/.exec(pressed?.id || "");
  if (rows && document.activeElement === document.body) byId(`add-${rows[1]}`)?.focus();
}

function focusFirst(dialog) {
  const wanted = ["[autofocus]", "input:not([type=hidden]), select, textarea", ".form-actions a, button"];
  wanted.map((selector) => dialog.querySelector(selector)).find((element) => element)?.focus();
}

document.addEventListener("click", (event) => {
  const dialog = byId("dialog");
  const closer = event.target.closest("[data-close]");
  if (closer && dialog?.contains(closer)) {
    event.preventDefault();
    dialog.close();
  }
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
  const copier = event.target.closest("[data-copy]");
  if (copier) copyText(byId(copier.dataset.copy), copier.querySelector("span"));
});

// Without a clipboard (plain HTTP has none) the text is selected for the viewer to copy.
function copyText(source, label) {
  const { copied } = document.body.dataset;
  if (!navigator.clipboard) {
    document.getSelection().selectAllChildren(source);
    return;
  }
  navigator.clipboard.writeText(source.textContent.trim()).then(() => {
    announce(copied);
    label.textContent = copied;
  });
}

// --- keys: "/" goes to the filter, Escape closes a menu
document.addEventListener("keydown", (event) => {
  const isTyping = event.target.closest?.("input, textarea, select, [contenteditable]");
  if (event.key === "/" && !isTyping && !event.ctrlKey && !event.metaKey && !event.altKey) {
    const filter = document.querySelector("input[type=search]");
    if (filter) {
      event.preventDefault();
      filter.focus();
    }
  }
  const menu = event.key === "Escape" && event.target.closest?.("details.menu[open]");
  if (menu) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});

document.addEventListener("DOMContentLoaded", () => {
  scrollToEnd([...document.querySelectorAll(".log")]);
  announceChanges();
  document.querySelector(".summary[autofocus]")?.focus();
});
