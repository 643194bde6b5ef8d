// What pages gain with a script: moments as "3 min ago", a question before an action, and pages that stay fresh.
"use strict";

const UNITS = [["year", 31536000], ["month", 2592000], ["day", 86400], ["hour", 3600], ["minute", 60]];
const words = new Intl.RelativeTimeFormat("en", { numeric: "always" });

function relative(date) {
  const seconds = (date - Date.now()) / 1000;
  for (const [unit, length] of UNITS) {
    if (Math.abs(seconds) >= length) return words.format(Math.trunc(seconds / length), unit);
  }
  return Math.abs(seconds) < 10 ? "now" : words.format(Math.trunc(seconds), "second");
}

function tellTimes(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const date = new Date(time.dateTime);
    if (Number.isNaN(date.getTime())) continue;
    time.title = time.dateTime;
    time.textContent = relative(date);
  }
}

// A page that is being used is left alone: a selection, a form being filled in, something opened.
function isInUse(main) {
  const active = document.activeElement;
  const typing = active && main.contains(active) && active.matches("input, select, textarea");
  return document.hidden || typing || String(getSelection()) !== "" || main.querySelector("details[open]") !== null;
}

async function refresh() {
  const main = document.querySelector("main[data-live]");
  if (!main || isInUse(main)) return;
  let text;
  try {
    const answer = await fetch(location.pathname + location.search, { signal: AbortSignal.timeout(10000) });
    text = await answer.text();
  } catch {
    return; // It is asked again soon.
  }
  const fresh = new DOMParser().parseFromString(text, "text/html").querySelector("main[data-live]");
  if (!fresh || isInUse(main)) return;
  const at = document.activeElement instanceof HTMLElement && main.contains(document.activeElement)
    ? [...main.querySelectorAll("a, button")].indexOf(document.activeElement) : -1;
  tellTimes(fresh);
  main.replaceChildren(...document.adoptNode(fresh).childNodes);
  if (at >= 0) main.querySelectorAll("a, button")[at]?.focus({ preventScroll: true });
}

document.addEventListener("submit", (event) => {
  const question = event.target.dataset.confirm;
  if (question && !confirm(question)) event.preventDefault();
});

// What was done is said once: a page that is loaded again, or kept as a bookmark, does not say it again.
const here = new URL(location.href);
if (here.searchParams.has("done")) {
  here.searchParams.delete("done");
  here.searchParams.delete("jobs");
  history.replaceState(null, "", here);
}

tellTimes(document);
setInterval(() => tellTimes(document), 20000);
if (document.querySelector("main[data-live]")) setInterval(refresh, 10000);
