"use strict";
// Shows times in the zone of the browser and names it. Without this script they are in UTC, and say so.
const showTimes = (root) => {
  const numbers = { year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit" };
  const format = new Intl.DateTimeFormat("en-GB", { ...numbers, hourCycle: "h23", timeZoneName: "short" });
  for (const time of root.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    const part = Object.fromEntries(format.formatToParts(at).map(({ type, value }) => [type, value]));
    const words = `${part.year}-${part.month}-${part.day} ${part.hour}:${part.minute}:${part.second} ${part.timeZoneName}`;
    if (time.title) time.title = words; // it says how long ago
    else time.textContent = words;
  }
};
showTimes(document);
