// What pages do beyond HTML and htmx: clocks that go on, logs that stay at their end, keys. Pages work without it.
"use strict";
(function () {
  function span(seconds) {
    if (seconds < 59.95) return Math.max(seconds, 0).toFixed(1) + "s";
    const whole = Math.round(seconds), minutes = Math.floor(whole / 60);
    const two = (number) => String(number).padStart(2, "0");
    return minutes < 60 ? minutes + "m" + two(whole % 60) + "s" : Math.floor(minutes / 60) + "h" + two(minutes % 60) + "m";
  }
  // The clock of the server may differ from that of this machine.
  const server = document.querySelector("[data-now]");
  const ahead = server ? Number(server.dataset.now) - Date.now() / 1000 : 0;
  setInterval(function () {
    for (const clock of document.querySelectorAll("[data-since]"))
      clock.textContent = span(Date.now() / 1000 + ahead - Number(clock.dataset.since));
  }, 1000);

  const LINES = 5000;
  const log = document.querySelector("[data-follow]");
  const follow = document.getElementById("follow");
  if (log) {
    const toEnd = () => window.scrollTo(0, document.body.scrollHeight);
    if (!location.hash) toEnd();
    document.body.addEventListener("htmx:sseMessage", function () {
      while (log.childElementCount > LINES) log.firstElementChild.remove();
      if (follow && follow.checked) toEnd();
    });
  }
  // What somebody opened stays open, and what was scrolled stays there, when a part of the page is replaced.
  document.body.addEventListener("htmx:oobBeforeSwap", function (event) {
    const before = event.detail.target, fresh = event.detail.fragment;
    if (!before || !fresh || !fresh.querySelectorAll) return;
    for (const part of new Set(Array.from(fresh.querySelectorAll("details[data-part]"), (one) => one.dataset.part))) {
      const those = `details[data-part="${part}"]`;
      const opened = before.querySelectorAll(those), next = fresh.querySelectorAll(those);
      for (let place = 0; place < Math.min(opened.length, next.length); place++) next[place].open = opened[place].open;
    }
    const left = before.scrollLeft, top = before.scrollTop, id = before.id;
    if (left || top) setTimeout(function () {
      const now = document.getElementById(id);
      if (now) { now.scrollLeft = left; now.scrollTop = top; }
    }, 0);
  });
  // A run that has ended is shown once more as a whole: with its critical path, and what can be done next.
  document.body.addEventListener("htmx:sseMessage", function (event) {
    if (event.detail && event.detail.type === "end") setTimeout(() => location.reload(), 800);
  });
  document.addEventListener("keydown", function (event) {
    if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName)) return;
    const search = document.querySelector("input[type=search]");
    if (event.key === "/" && search) { event.preventDefault(); search.focus(); }
    if (event.key === "G" && log) window.scrollTo(0, document.body.scrollHeight);
    if (event.key === "g" && log) window.scrollTo(0, 0);
  });
})();
