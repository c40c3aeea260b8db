"use strict";
// Shows the end of the log, and follows the run while it goes on. The page is complete without this script.
(() => {
  const [log, live, jump] = ["log", "live", "jump"].map((id) => document.getElementById(id));
  const field = document.querySelector(".find [name=find]");
  const MAX_ROWS = 600; // rows that stay in the page: more make a browser slow, and all others are a link away
  const AGAIN = 5000; // ms until a server that did not answer, or a page without a stream, is asked again
  const HIDDEN = 20000; // ms between two looks of a page that nobody sees
  const SILENT = 15000; // ms without a word from a stream, which begins with one: a proxy holds it back
  const STEADY = 1500; // ms in which a fresh button does nothing: a click may have been meant for the one before
  const { logUrl, stage } = log.dataset;
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
  const marked = () => log.querySelector(".row[aria-current]");
  const following = () => atEnd && !selecting() && !marked();
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
    nameLines("");
    showSoon();
  });

  // Times go on by themselves: where nothing else is new, what somebody selects or is about to click stays.
  const shown = {};
  const withoutTimes = (part) => part.innerHTML.replace(/<time datetime="([^"]*)"[^>]*>[^<]*/g, "$1");
  const put = (part, page) => {
    const [old, fresh] = [document.querySelector(part), page.querySelector(part)];
    if (!old || !fresh) return;
    const words = withoutTimes(fresh);
    if ((shown[part] ?? withoutTimes(old)) === words) return;
    shown[part] = words;
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

  // Lines that no stream has brought.
  const fetchLines = async () => {
    const answer = await fetch(`${logUrl}?format=ndjson&after=${last}${inStage}`);
    if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
    for (const line of (await answer.text()).split("\n")) if (line) add(JSON.parse(line));
  };

  // A browser keeps six connections to a server: a page that nobody sees gives its one up and only asks now and then.
  let source;
  let timer;
  let ended = false; // all lines are here
  let held = false; // streams do not get through: all is asked for now and then
  const stop = () => { source?.close(); clearTimeout(timer); };
  const later = (ms) => { stop(); timer = setTimeout(look, ms); };
  const look = async ({ silent = false } = {}) => {
    stop();
    try {
      const goesOn = await refresh();
      if (goesOn === undefined) return;
      if (!document.hidden && !fixed && !ended) {
        await fetchLines();
        ended = !goesOn;
        held ||= silent;
      }
      if (fixed || ended) live.textContent = "";
      else if (held) live.textContent = say("live");
      if (goesOn && (document.hidden || fixed || held)) later(document.hidden ? HIDDEN : AGAIN);
      else if (goesOn && !ended) follow();
    } catch {
      live.textContent = say("reconnecting…");
      later(AGAIN);
    }
  };
  const follow = () => {
    stop(); // two looks may have overlapped: the first one's stream would be followed for ever
    source = new EventSource(`${logUrl}?follow=1&after=${last}${inStage}`);
    timer = setTimeout(look, SILENT, { silent: true });
    source.onopen = () => { live.textContent = say("live"); };
    source.onerror = ({ target }) => {
      live.textContent = say("reconnecting…");
      if (target.readyState === EventSource.CLOSED) later(AGAIN); // an error page of a proxy ends it for good
    };
    for (const kind of ["line", "state", "end"]) source.addEventListener(kind, () => clearTimeout(timer));
    source.addEventListener("line", (event) => add(JSON.parse(event.data)));
    source.addEventListener("state", () => refresh().catch(() => later(AGAIN)));
    source.addEventListener("end", () => { ended = true; live.textContent = ""; look(); });
  };

  // "#build:L120-L140" names lines, as "#L120" does. The stage is for people: numbers count the lines of the run.
  const named = () => {
    const [, first, end = first] = /^#(?:[a-z]+:)?L(\d+)(?:-L?(\d+))?$/.exec(location.hash) ?? [];
    return first ? [Number(first), Math.max(Number(first), Number(end))] : [];
  };
  const mark = () => {
    const [first, end] = named();
    const lines = [...rows].filter((row) => Number(row.id.slice(1)) >= first && Number(row.id.slice(1)) <= end);
    log.dataset.marks = "";
    log.querySelectorAll(".marked").forEach((row) => row.classList.remove("marked"));
    marked()?.removeAttribute("aria-current");
    lines.forEach((row) => row.classList.add("marked"));
    lines[0]?.setAttribute("aria-current", "true");
    [lines.at(-1), lines[0]].forEach((row) => row?.scrollIntoView({ block: "nearest" }));
  };
  const nameLines = (lines) => {
    if (location.hash !== lines) history.pushState(null, "", location.pathname + location.search + lines);
    mark();
  };

  // Lines that are not in the page are fetched. Returns whether the address names some.
  const seek = () => {
    const [first] = named();
    const address = `?line=${first}${location.hash}`;
    const fetched = new URLSearchParams(location.search).get("line") === String(first);
    if (first && !fetched && !document.getElementById(`L${first}`)) location.replace(address);
    mark();
    return Boolean(first);
  };

  // A click on a number names its line, one with the shift key all from the line that is named; a second one none.
  log.addEventListener("mousedown", (event) => { // selects text, with the shift key
    if (event.shiftKey && event.target.matches(".n")) event.preventDefault();
  });
  log.addEventListener("click", (event) => {
    if (!event.target.matches(".n") || event.ctrlKey || event.metaKey || "listed" in log.dataset) return;
    event.preventDefault();
    const row = event.target.parentElement;
    const both = [row, (event.shiftKey && marked()) || row].sort((a, b) => a.id.slice(1) - b.id.slice(1));
    const lines = [...new Set(both)].map((one) => one.id).join("-");
    const address = `#${both[0].querySelector(".s").textContent}:${lines}`;
    nameLines(address === location.hash ? "" : address);
  });

  // The browser finds what is in the page, our field what is in the log; who asks there once more means the browser.
  document.addEventListener("keydown", (event) => {
    const asks = (event.ctrlKey || event.metaKey) && !event.shiftKey && !event.altKey && event.key === "f";
    if (!asks || document.activeElement === field) return;
    event.preventDefault();
    field.focus();
    field.select();
  });
  field.addEventListener("keydown", (event) => {
    const before = event.key === "Enter" && event.shiftKey && document.querySelector(".find [rel=prev]");
    if (!before) return;
    event.preventDefault();
    before.click();
  });
  // Enter leads to the next one. Not before all is loaded: to go to the line in the address takes the focus away.
  if (document.getElementById("place")) addEventListener("load", () => field.focus({ preventScroll: true }));

  if (!seek()) toEnd();
  addEventListener("hashchange", seek);
  if (!("live" in log.dataset)) return;
  document.addEventListener("visibilitychange", look);
  if (document.hidden) later(HIDDEN);
  else if (fixed) later(AGAIN);
  else follow();
})();
