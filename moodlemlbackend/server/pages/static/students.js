"use strict";
/* The keyboard of the course page: every key does what a link, a box or a button does, too. */

const KEY = "course keys";
const rows = () => [...document.querySelectorAll("#students tr.student")];
const boxes = () => [...document.querySelectorAll("#students input[name=student]")];
const current = () => document.querySelector("#students tr.current");
const link = (row) => row.querySelector("th a");

function go(step) {
  const every = rows();
  if (!every.length) return;
  const here = every.indexOf(current());
  const next = here < 0 ? (step > 0 ? 0 : every.length - 1) : Math.min(Math.max(here + step, 0), every.length - 1);
  link(every[next]).focus();
  every[next].scrollIntoView({ block: "nearest" });
}

function select() {
  const box = current()?.querySelector("input[name=student]");
  if (!box) return;
  box.checked = !box.checked;
  box.dispatchEvent(new Event("change", { bubbles: true }));
}

function resolve() {
  if (!boxes().some((box) => box.checked)) {
    const box = current()?.querySelector("input[name=student]");
    if (!box) return;
    box.checked = true;
  }
  const form = document.getElementById("act");
  form.requestSubmit(form.querySelector("button[value=resolved]"));
}

const help = () => document.getElementById("keys").showModal();
const search = () => document.getElementById("q").select();
const KEYS = { j: () => go(1), k: () => go(-1), x: select, e: resolve, "/": search, "?": help };

function wanted() {
  try {
    return localStorage.getItem(KEY) !== "off";
  } catch {
    return true;
  }
}

function want(on) {
  try {
    localStorage.setItem(KEY, on ? "on" : "off");
  } catch {
    /* a browser that keeps nothing: they are on again on the next page */
  }
}

document.addEventListener("keydown", (event) => {
  const action = KEYS[event.key];
  const typing = event.target.closest("input:not([type=checkbox]), select, textarea, dialog");
  if (!action || typing || event.ctrlKey || event.metaKey || event.altKey || !wanted()) return;
  event.preventDefault();
  action();
});

document.addEventListener("focusin", (event) => {
  const row = event.target.closest("#students tr.student");
  if (!row) return;
  current()?.classList.remove("current");
  row.classList.add("current");
});

document.addEventListener("change", (event) => {
  if (event.target.id === "all") {
    for (const box of boxes()) box.checked = event.target.checked;
  }
  if (event.target.id === "keys-on") want(event.target.checked);
});

function prepare() {
  const all = document.getElementById("all");
  if (all) all.hidden = false;
}

function begin() {
  prepare();
  if (matchMedia("(max-width: 40rem)").matches) {
    for (const part of document.querySelectorAll(".overview, .sieves")) part.open = false;
  }
  const button = document.getElementById("keys-button");
  button.hidden = false;
  button.addEventListener("click", help);
  document.getElementById("keys-on").checked = wanted();
  document.body.addEventListener("htmx:afterSettle", prepare);
}

begin();
