// Everything works without this script; with it, pages follow the ledger and buttons ask before they act.
"use strict";
(() => {
  const content = () => document.getElementById("content");
  const touched = () =>
    document.activeElement && document.activeElement.closest("main form, main details[open]") ||
    document.querySelector("main form[data-touched], main details[open]");

  document.addEventListener("input", (event) => {
    const form = event.target.closest("main form");
    if (form) form.dataset.touched = "yes";
  });

  document.addEventListener("submit", (event) => {
    const button = event.submitter;
    if (button && button.dataset.sure && !window.confirm(button.dataset.sure)) event.preventDefault();
  });

  const announce = () => {
    if (document.querySelector(".news")) return;
    const news = document.createElement("p");
    news.className = "news";
    news.setAttribute("role", "status");
    const link = document.createElement("a");
    link.href = window.location.href;
    link.textContent = "Something was decided meanwhile. Show it";
    news.append(link);
    content().before(news);
  };

  const renew = async () => {
    if (touched()) return announce();
    const answer = await fetch(window.location.href, { headers: { accept: "text/html" } });
    if (!answer.ok || answer.redirected) return announce();
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const renewed = page.getElementById("content");
    if (renewed && !touched()) content().replaceWith(renewed);
    later();
  };

  // What is being counted is asked for again until it is there.
  const later = () => {
    const counting = document.querySelector("main [data-renew]");
    if (counting) setTimeout(() => { renew().catch(announce); }, 1000 * counting.dataset.renew);
  };
  later();

  // On a narrow screen the way here may lie outside of the window.
  const here = document.querySelector("nav [aria-current]");
  if (here) here.closest("ul").scrollLeft = here.offsetLeft - 24;

  const changes = document.body.dataset.changes;
  if (changes && window.EventSource) {
    const source = new EventSource(changes);
    source.addEventListener("grown", () => { renew().catch(announce); });
    window.addEventListener("pagehide", () => source.close());
  }
})();
