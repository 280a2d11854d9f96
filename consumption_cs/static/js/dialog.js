/* [data-dialog="id"] opens that <dialog>; [data-close] inside, Escape or a click beside it closes it. */
(() => {
  "use strict";
  document.addEventListener("click", event => {
    const opener = event.target.closest("[data-dialog]");
    if (opener) {
      const dialog = document.getElementById(opener.dataset.dialog);
      dialog.showModal();
      (dialog.querySelector("[autofocus], input:not([type=hidden]), select, textarea") || dialog.querySelector("[data-close]"))?.focus();
      return;
    }
    if (event.target.closest("[data-close]")) event.target.closest("dialog")?.close();
    else if (event.target.nodeName === "DIALOG") event.target.close();
  });
})();
