/* The as-of slider: says the day while it moves, and opens the page of that day when it is let go. */
(() => {
  "use strict";
  for (const form of document.querySelectorAll("[data-asof]")) {
    const range = form.querySelector("input[type=range]");
    const told = form.querySelector("output");
    const chosen = form.querySelector("input[name=asof]");
    const days = range.dataset.days.split(" ");
    const words = new Intl.DateTimeFormat("en-US", { month: "short", day: "numeric", year: "numeric", timeZone: "UTC" });
    const tell = () => {
      const day = days[Number(range.value)];
      told.textContent = words.format(new Date(`${day}T00:00:00Z`));
      range.setAttribute("aria-valuetext", told.textContent);
      chosen.value = day;
    };
    range.addEventListener("input", tell);
    range.addEventListener("change", () => {
      tell();
      if (Number(range.value) === days.length - 1) location.href = location.pathname;
      else form.submit();
    });
    tell();
  }
})();
