// Brings the page up to date without loading it: fetches the same address and carries over what
// differs, node by node, so that focus, selection, scrolling and opened details stay as they are.
// The browser parses what comes as a document of its own, in which no script runs; no text is ever
// made into HTML here (the page's policy forbids it).
"use strict";

const TIMEOUT_MS = 35000;
const everyMs = Number(document.body.dataset.refreshMs);
const trouble = document.getElementById("trouble");
const pause = document.getElementById("pause");
let paused = false;
let waiting = 0;
let lastAnswer = Date.now();

// "/" leads to Find, but where somebody is writing.
document.addEventListener("keydown", (event) => {
  const at = event.target instanceof Element ? event.target : document.body;
  const writes = at.closest("input, textarea, select, [contenteditable]");
  if (event.key !== "/" || writes || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  document.getElementById("q").focus();
});

// The buttons are in the page, so that news leave them and the focus on them alone; they are shown
// where there is a clipboard. News also bring back the word on a button that was pressed.
if (navigator.clipboard) {
  document.documentElement.classList.add("can-copy");
  document.addEventListener("click", (event) => {
    const button = event.target instanceof Element && event.target.closest("[data-copy]");
    if (button) copy(button);
  });
}

async function copy(button) {
  let told = "Copied";
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
  } catch {
    told = "Not copied";
  }
  button.textContent = told;
  document.getElementById("said").textContent = `${told}: ${button.dataset.copy}`;
}

function look() {
  const request = new XMLHttpRequest();
  request.open("GET", location.href);
  request.responseType = "document";
  request.timeout = TIMEOUT_MS;
  request.onload = () => answered(request);
  request.onerror = () => failed("The console does not answer; is it still running?");
  request.ontimeout = request.onerror;
  request.onloadend = schedule;
  request.send();
}

function answered(request) {
  const fresh = request.response;
  if (!fresh || request.status >= 500) {
    const title = fresh && fresh.querySelector("h1");
    failed(`${title ? title.textContent : "The console failed"}.`);
    return;
  }
  for (const old of document.querySelectorAll("[data-live]")) {
    const found = fresh.getElementById(old.id);
    if (found) morph(old, found);
  }
  lastAnswer = Date.now();
  trouble.hidden = true;
}

function failed(told) {
  const seconds = Math.round((Date.now() - lastAnswer) / 1000);
  trouble.textContent = `${told} What you see is ${seconds} s older than it says.`;
  trouble.hidden = false;
}

function schedule() {
  clearTimeout(waiting);
  if (!paused && !document.hidden) waiting = setTimeout(look, everyMs);
}

// Makes `old` as `fresh` is, and touches nothing that is so already.
function morph(old, fresh) {
  if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName) {
    old.replaceWith(document.importNode(fresh, true));
    return;
  }
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  for (const { name } of [...old.attributes]) {
    // Whether details are open is the reader's.
    if (name !== "open" && !fresh.hasAttribute(name)) old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  morphChildren(old, fresh);
}

function morphChildren(old, fresh) {
  const wanted = new Set([...fresh.children].map(keyOf).filter(Boolean));
  for (const child of [...old.children]) {
    if (keyOf(child) && !wanted.has(keyOf(child))) child.remove();
  }
  const keyed = new Map([...old.children].map((child) => [keyOf(child), child]));
  let place = old.firstChild;
  for (const child of [...fresh.childNodes]) {
    const key = keyOf(child);
    const same = key ? keyed.get(key) : place && !keyOf(place) ? place : undefined;
    if (!same) {
      old.insertBefore(document.importNode(child, true), place);
    } else {
      if (same === place) place = place.nextSibling;
      else old.insertBefore(same, place);
      morph(same, child);
    }
  }
  while (place) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
}

function keyOf(node) {
  return node.nodeType === Node.ELEMENT_NODE ? node.dataset.key : undefined;
}

if (everyMs) {
  pause.hidden = false;
  pause.addEventListener("click", () => {
    paused = !paused;
    pause.setAttribute("aria-pressed", String(paused));
    if (paused) clearTimeout(waiting);
    else look();
  });
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) clearTimeout(waiting);
    else if (!paused) look();
  });
  schedule();
}
