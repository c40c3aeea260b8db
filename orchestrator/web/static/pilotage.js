"use strict";
// Shows the end of the log, and follows it while the run goes on. The page is complete without this script.
(() => {
  const [log, live, jump] = ["log", "live", "jump"].map((id) => document.getElementById(id));
  const MAX_ROWS = 5000; // rows that stay in the page; the whole log is one click away
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

  const add = (line) => {
    if (line.n <= last) return;
    last = line.n;
    document.getElementById("nolines")?.remove();
    const row = document.createElement("div");
    row.className = "row";
    for (const [name, text] of [["n", line.n], ["s", line.stage], ["t", line.text]]) {
      row.append(Object.assign(document.createElement("span"), { className: name, textContent: text }));
    }
    log.append(row);
    if (atEnd && !selecting()) {
      while (log.childElementCount > MAX_ROWS) log.firstElementChild.remove();
      toEnd();
    } else {
      missed += 1;
      jump.textContent = `${missed} new line${missed > 1 ? "s" : ""}, jump to end`;
      jump.hidden = false;
    }
  };

  // The server words states; the script only puts its words in place.
  const refresh = async () => {
    const answer = await fetch(location.pathname, { headers: { Accept: "text/html" } });
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    document.title = page.title;
    for (const part of [".verdict", ".left", ".actions"]) {
      const [old, fresh] = [document.querySelector(part), page.querySelector(part)];
      if (old && fresh) old.replaceWith(document.adoptNode(fresh));
    }
    showTimes(document);
  };

  toEnd();
  if (!("live" in log.dataset)) return;
  const source = new EventSource(`/api/v1/runs/${log.dataset.run}/logs?follow=1&after=${last}`);
  source.onopen = () => { live.textContent = "live"; };
  source.onerror = () => { live.textContent = source.readyState === 2 ? "not live: reload" : "reconnecting…"; };
  source.addEventListener("line", (event) => add(JSON.parse(event.data)));
  source.addEventListener("state", refresh);
  source.addEventListener("end", () => { source.close(); live.textContent = ""; refresh(); });
})();
