"use strict";
// Puts what the server words anew in the place of what it worded before, and does so for lists now and then.

// Returns whether the reader is where they were: at the same link or button, if they were at one in this part. Buttons
// about a run are none to stay at: they may do something else by now.
const swap = (old, fresh) => {
  const at = document.activeElement;
  const focused = old.contains(at);
  const same = (part) => [...part.querySelectorAll("a, .poll button")].filter((one) => one.outerHTML === at.outerHTML);
  const place = same(old).indexOf(at);
  const aside = [...old.querySelectorAll(".scroll")].map((one) => one.scrollLeft);
  old.replaceWith(document.adoptNode(fresh));
  fresh.querySelectorAll(".scroll").forEach((one, n) => { one.scrollLeft = aside[n] ?? 0; });
  same(fresh)[place]?.focus({ preventScroll: true });
  showTimes(fresh);
  return !focused || fresh.contains(document.activeElement);
};

(() => {
  const EVERY = 10000; // ms between two looks of a list that somebody sees
  const live = document.getElementById("live");
  const list = () => document.getElementById("list");
  if (!list()) return;
  let shown;
  let timer;

  // A click or a selection that has begun is let come to its end.
  const selecting = () => !getSelection().isCollapsed && list().contains(getSelection().anchorNode);
  const busy = () => selecting() || list().matches(":active");
  const renew = async () => {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (answer.redirected) return location.reload(); // to the login
    if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("list");
    live.textContent = "";
    if (busy() || fresh.innerHTML === shown) return undefined;
    shown = fresh.innerHTML;
    return swap(list(), fresh);
  };
  const look = async () => {
    if (!document.hidden) await renew().catch(() => { live.textContent = say("reconnecting…"); });
    clearTimeout(timer);
    timer = setTimeout(look, EVERY);
  };
  document.addEventListener("visibilitychange", look);
  timer = setTimeout(look, EVERY);
})();
