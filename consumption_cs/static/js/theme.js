/* Light, dark, or what the system says. Loaded first, in the head, so that the page never flashes in the other theme. */
(() => {
  "use strict";
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const stored = () => { try { return localStorage.getItem("theme"); } catch { return null; } };

  function apply(choice) {
    if (choice === "light" || choice === "dark") root.dataset.theme = choice;
    else delete root.dataset.theme;
  }

  function choose(choice) {
    try {
      if (choice === "system") localStorage.removeItem("theme");
      else localStorage.setItem("theme", choice);
    } catch { /* a private window: the choice lasts as long as the page */ }
    apply(choice);
    mark();
    document.dispatchEvent(new CustomEvent("themechange"));
  }

  function mark() {
    const current = root.dataset.theme || "system";
    for (const button of document.querySelectorAll("[data-theme-set]")) {
      button.setAttribute("aria-pressed", String(button.dataset.themeSet === current));
    }
  }

  apply(stored());
  document.addEventListener("DOMContentLoaded", mark);
  document.addEventListener("click", event => {
    const set = event.target.closest("[data-theme-set]");
    if (set) choose(set.dataset.themeSet);
    else if (event.target.closest("[data-theme-toggle]")) {
      const isDark = root.dataset.theme ? root.dataset.theme === "dark" : dark.matches;
      choose(isDark ? "light" : "dark");
    }
  });
  dark.addEventListener("change", () => document.dispatchEvent(new CustomEvent("themechange")));
  addEventListener("storage", event => {
    if (event.key === "theme") { apply(event.newValue); mark(); document.dispatchEvent(new CustomEvent("themechange")); }
  });
})();
