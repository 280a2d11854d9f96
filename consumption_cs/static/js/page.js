/* Small things any page may ask for: dismiss a message, submit a filter at once, "/" to search, "select all", wide tabs. */
(() => {
  "use strict";
  document.addEventListener("click", event => event.target.closest("[data-dismiss]")?.closest(".alert").remove());
  document.addEventListener("change", event => {
    const control = event.target;
    if (control.closest("form[data-autosubmit]") && control.matches("select, input[type=checkbox], input[type=radio], input[type=date]")) control.form.requestSubmit();
    if (control.matches("[data-select-all]")) {
      for (const box of document.querySelectorAll(`input[type=checkbox][name="${control.dataset.selectAll}"]`)) box.checked = control.checked;
    }
  });
  document.addEventListener("keydown", event => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest?.("input, textarea, select, [contenteditable]")) return;
    const search = document.querySelector("input[aria-keyshortcuts='/']");
    if (search) { event.preventDefault(); search.focus(); search.select(); }
  });
  /* On a narrow screen the tabs scroll: bring the current one into view without moving the page. */
  for (const tab of document.querySelectorAll(".tabs [aria-current], .views [aria-current]")) {
    const bar = tab.parentElement;
    bar.scrollLeft = Math.max(0, tab.offsetLeft - bar.offsetLeft - (bar.clientWidth - tab.clientWidth) / 2);
  }
})();
