/* The brief: J and K go through the book, the print button prints. */
(() => {
  "use strict";
  document.querySelector("[data-print]")?.addEventListener("click", () => print());
  document.addEventListener("keydown", event => {
    if (event.target.matches("input, select, textarea, [contenteditable]") || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    document.querySelector(`a[data-key="${CSS.escape(event.key)}"]`)?.click();
  });
})();
