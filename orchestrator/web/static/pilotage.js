"use strict";
// Shows the end of the log, and follows the run while it goes on. The page is complete without this script.
(() => {
  const [log, live, jump] = ["log", "live", "jump"].map((id) => document.getElementById(id));
  const MAX_ROWS = 600; // rows that stay in the page: more make a browser slow, and all others are a link away
  const AGAIN = 5000; // ms until a server that did not answer, or a page without new lines, is asked again
  const HIDDEN = 20000; // ms between two looks of a page that nobody sees
  const STEADY = 1500; // ms in which a fresh button does nothing: a click may have been meant for the one before
  const { run, stage } = log.dataset;
  const inStage = stage && `&stage=${stage}`;
  const fixed = "fixed" in log.dataset; // the log is a part that somebody asked for: the rest of the page follows
  const coming = []; // lines that are not in the page yet, at most as many as have room in it
  let last = Number(log.dataset.last);
  let missed = 0;
  let cut = false; // lines were left out of the page
  let atEnd = true;
  let frame = 0;

  const rows = log.getElementsByClassName("row");
  const selecting = () => !getSelection().isCollapsed && log.contains(getSelection().anchorNode);
  const following = () => atEnd && !selecting();
  const toEnd = () => { log.scrollTop = log.scrollHeight; };

  const rowOf = ({ n, stage, text }) => {
    const row = Object.assign(document.createElement("div"), { className: "row", id: `L${n}` });
    const number = Object.assign(document.createElement("a"), { className: "n", tabIndex: -1, textContent: n });
    number.href = `?line=${n}#L${n}`;
    row.append(number);
    for (const [name, words] of [["s", stage], ["t", text]]) {
      row.append(Object.assign(document.createElement("span"), { className: name, textContent: words }));
    }
    return row;
  };

  const trim = () => {
    for (; rows.length > MAX_ROWS; cut = true) rows[0].remove();
    if (!cut) return;
    const first = rows[0].id.slice(1);
    if (!log.firstElementChild.matches(".more")) {
      log.prepend(Object.assign(document.createElement("a"), { className: "more", textContent: say("earlier lines") }));
    }
    log.firstElementChild.href = `?line=${first}${inStage}#L${first}`;
  };

  const sayMissed = () => {
    jump.textContent = say(missed > 1 ? "%(n)s new lines, jump to end" : "%(n)s new line, jump to end", missed);
    jump.hidden = !missed;
  };

  // All lines of a frame go in at once: the browser lays the log out anew each time. Nothing moves under somebody who
  // reads further up: the page takes what it has room for, and the rest when they are at the end again.
  const show = () => {
    frame = 0;
    const goesOn = following();
    const room = coming.length < MAX_ROWS ? MAX_ROWS - rows.length : 0; // in a full queue some may be left out
    const fresh = coming.splice(0, goesOn ? MAX_ROWS : room);
    if (fresh.length) document.getElementById("nolines")?.remove();
    log.append(...fresh.map(rowOf));
    if (goesOn) {
      trim();
      missed = 0;
      toEnd();
    }
    sayMissed();
  };
  const showSoon = () => { frame ||= requestAnimationFrame(show); };

  const add = (line) => {
    if (line.n <= last) return;
    last = line.n;
    missed += 1;
    if (coming.push(line) > MAX_ROWS) { // the rest fills the page by itself
      coming.shift();
      cut = true;
    }
    showSoon();
  };

  log.addEventListener("scroll", () => {
    atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 24;
    if (atEnd && missed) showSoon();
  });
  jump.addEventListener("click", () => {
    atEnd = true;
    getSelection().removeAllRanges();
    showSoon();
  });

  const shown = {};
  const put = (part, page) => {
    const [old, fresh] = [document.querySelector(part), page.querySelector(part)];
    if (!old || !fresh || (shown[part] ?? old.innerHTML) === fresh.innerHTML) return;
    shown[part] = fresh.innerHTML;
    const kept = swap(old, fresh);
    for (const button of fresh.querySelectorAll("button")) {
      button.disabled = true;
      setTimeout(() => { button.disabled = false; }, STEADY);
    }
    if (!kept) document.getElementById("verdict").focus();
  };

  // The server words states; the script only puts its words in place. Returns whether the run goes on, if we may know.
  const refresh = async () => {
    const answer = await fetch(location.pathname, { headers: { Accept: "text/html" } });
    if (answer.redirected) {
      live.textContent = say("logged out: reload");
      return undefined;
    }
    if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    document.title = page.title;
    [".verdict", ".left", ".actions"].forEach((part) => put(part, page));
    const goesOn = "live" in page.getElementById("log").dataset;
    if (fixed && !goesOn) document.getElementById("fixed")?.remove();
    return goesOn;
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
      if (goesOn === undefined) return;
      if (fixed) live.textContent = "";
      if (goesOn && (document.hidden || fixed)) later(document.hidden ? HIDDEN : AGAIN);
      else if (!document.hidden && !fixed && !ended) follow();
    } catch {
      live.textContent = say("reconnecting…");
      later(AGAIN);
    }
  };
  const follow = () => {
    stop(); // two looks may have overlapped: the first one's stream would be followed for ever
    source = new EventSource(`/api/v1/runs/${run}/logs?follow=1&after=${last}${inStage}`);
    source.onopen = () => { live.textContent = say("live"); };
    source.onerror = ({ target }) => {
      live.textContent = say("reconnecting…");
      if (target.readyState === EventSource.CLOSED) later(AGAIN); // an error page of a proxy ends it for good
    };
    source.addEventListener("line", (event) => add(JSON.parse(event.data)));
    source.addEventListener("state", () => refresh().catch(() => later(AGAIN)));
    source.addEventListener("end", () => { ended = true; live.textContent = ""; look(); });
  };

  // An address may name a line that is not in the page: its part of the log is fetched then. Of "#L120-L140" the first.
  const seek = () => {
    const [, line] = /^#L(\d+)/.exec(location.hash) ?? [];
    if (!line) return false;
    const address = `?line=${line}#L${line}`;
    if (!document.getElementById(`L${line}`) && location.search + location.hash !== address) location.replace(address);
    else if (location.hash !== `#L${line}`) location.replace(`#L${line}`);
    return true;
  };

  if (!seek()) toEnd();
  addEventListener("hashchange", seek);
  if (!("live" in log.dataset)) return;
  document.addEventListener("visibilitychange", look);
  if (document.hidden) later(HIDDEN);
  else if (fixed) later(AGAIN);
  else follow();
})();
