"use strict";
// Shows times in the zone of the browser and names it, and lets what says how long ago or for how long go on.
// Without this script times are in UTC, and say so.
const SAID = JSON.parse(document.documentElement.dataset.words ?? "{}"); // English -> the language of the page
const say = (text, n) => (SAID[text] ?? text).replace("%(n)s", n);
const EVERY = 1000; // ms between two looks at the clock
const ahead = Date.now() - Date.parse(document.documentElement.dataset.now); // of the server; a clock may be wrong
const format = new Intl.DateTimeFormat("en-GB", {
  year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit",
  hourCycle: "h23", timeZoneName: "short",
});

const inFull = (at) => {
  const part = Object.fromEntries(format.formatToParts(at).map(({ type, value }) => [type, value]));
  return `${part.year}-${part.month}-${part.day} ${part.hour}:${part.minute}:${part.second} ${part.timeZoneName}`;
};

// Both word as the server does (words.py, durations.py): a test compares them.
const AGO = [[3600, 60, "%(n)s min ago"], [86400, 3600, "%(n)s h ago"], [14 * 86400, 86400, "%(n)s d ago"]];
const agoWords = (seconds, day) => {
  if (seconds < 45) return say("just now");
  for (const [limit, size, text] of AGO) {
    if (seconds < limit) return say(text, Math.max(1, Math.round(seconds / size)));
  }
  return day;
};
const forWords = (seconds) => {
  const [hours, minutes, rest] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, Math.floor(seconds) % 60];
  const padded = (number) => String(number).padStart(2, "0");
  if (hours) return `${hours}h${padded(minutes)}m`;
  return minutes ? `${minutes}m${padded(rest)}s` : `${rest} s`;
};

const showTimes = (root) => {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    if (time.title) time.title = inFull(at); // it says how long ago
    else time.textContent = inFull(at);
  }
};
const letTimesGoOn = () => {
  for (const time of document.querySelectorAll("time[title]")) {
    const seconds = Math.max(0, (Date.now() - ahead - Date.parse(time.dateTime)) / 1000);
    const words = "lasts" in time.dataset ? forWords(seconds) : agoWords(seconds, time.dateTime.slice(0, 10));
    if (time.textContent !== words) time.textContent = words;
  }
};
showTimes(document);
setInterval(letTimesGoOn, EVERY);
