"use strict";
// Shows the end of the log, and follows the run while it goes on. The page is complete without this script.
(() => {
  const [log, live, jump] = ["log", "live", "jump"].map((id) => document.getElementById(id));
  const MAX_ROWS = 600; // rows that stay in the page: more make a browser slow, and all others are a link away
  const AGAIN = 5000; // ms until a server that did not answer is asked again
  const HIDDEN = 20000; // ms between two looks of a page that nobody sees
  const STEADY = 1500; // ms in which a fresh button does nothing: a click may have been meant for the one before
  let last = Number(log.dataset.last);
  let missed = 0;
  let atEnd = true;

  const selecting = () => !getSelection().isCollapsed && log.contains(getSelection().anchorNode);
  const caughtUp = () => { missed = 0; jump.hidden = true; };
  const toEnd = () => { log.scrollTop = log.scrollHeight; caughtUp(); };
  log.addEventListener("scroll", () => {
    atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 24;
    if (atEnd) caughtUp();
  });
  jump.addEventListener("click", toEnd);

  const dropFirst = () => {
    log.querySelector(".row").remove();
    const first = log.querySelector(".row").id.slice(1);
    if (!log.firstElementChild.matches(".more")) {
      log.prepend(Object.assign(document.createElement("a"), { className: "more", textContent: "earlier lines" }));
    }
    log.firstElementChild.href = `?line=${first}#L${first}`;
  };

  const add = (line) => {
    if (line.n <= last) return;
    last = line.n;
    document.getElementById("nolines")?.remove();
    const row = Object.assign(document.createElement("div"), { className: "row", id: `L${line.n}` });
    const number = Object.assign(document.createElement("a"), { className: "n", textContent: line.n });
    number.href = `?line=${line.n}#L${line.n}`;
    row.append(number);
    for (const [name, text] of [["s", line.stage], ["t", line.text]]) {
      row.append(Object.assign(document.createElement("span"), { className: name, textContent: text }));
    }
    log.append(row);
    if (atEnd && !selecting()) {
      while (log.getElementsByClassName("row").length > MAX_ROWS) dropFirst();
      toEnd();
    } else {
      missed += 1;
      jump.textContent = `${missed} new line${missed > 1 ? "s" : ""}, jump to end`;
      jump.hidden = false;
    }
  };

  const shown = {};
  const put = (part, page) => {
    const [old, fresh] = [document.querySelector(part), page.querySelector(part)];
    if (!old || !fresh || (shown[part] ?? old.innerHTML) === fresh.innerHTML) return;
    shown[part] = fresh.innerHTML;
    const focused = old.contains(document.activeElement);
    old.replaceWith(document.adoptNode(fresh));
    for (const button of fresh.querySelectorAll("button")) {
      button.disabled = true;
      setTimeout(() => { button.disabled = false; }, STEADY);
    }
    if (focused) document.getElementById("verdict").focus();
  };

  // The server words states; the script only puts its words in place. Returns whether the run goes on, if we may know.
  const refresh = async () => {
    const answer = await fetch(location.pathname, { headers: { Accept: "text/html" } });
    if (answer.redirected) {
      live.textContent = "logged out: reload";
      return undefined;
    }
    if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    document.title = page.title;
    [".verdict", ".left", ".actions"].forEach((part) => put(part, page));
    showTimes(document);
    return "live" in page.getElementById("log").dataset;
  };

  // A browser keeps six connections to a server: a page that nobody sees gives its one up and only asks now and then.
  let source;
  let timer;
  let ended = false; // all lines are here
  const stop = () => { source?.close(); clearTimeout(timer); };
  const later = (ms) => { stop(); timer = setTimeout(look, ms); };
  const look = async () => {
    stop();
    try {
      const goesOn = await refresh();
      if (document.hidden && goesOn) later(HIDDEN);
      if (!document.hidden && !ended && goesOn !== undefined) follow();
    } catch {
      live.textContent = "reconnecting…";
      later(AGAIN);
    }
  };
  const follow = () => {
    stop(); // two looks may have overlapped: the first one's stream would be followed for ever
    source = new EventSource(`/api/v1/runs/${log.dataset.run}/logs?follow=1&after=${last}`);
    source.onopen = () => { live.textContent = "live"; };
    source.onerror = ({ target }) => {
      live.textContent = "reconnecting…";
      if (target.readyState === EventSource.CLOSED) later(AGAIN); // an error page of a proxy ends it for good
    };
    source.addEventListener("line", (event) => add(JSON.parse(event.data)));
    source.addEventListener("state", () => refresh().catch(() => later(AGAIN)));
    source.addEventListener("end", () => { ended = true; live.textContent = ""; look(); });
  };

  if (!location.hash.startsWith("#L")) toEnd();
  if (!("live" in log.dataset)) return;
  document.addEventListener("visibilitychange", look);
  if (document.hidden) later(HIDDEN);
  else follow();
})();
