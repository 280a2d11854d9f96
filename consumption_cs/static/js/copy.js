/* [data-copy="id"] copies the text of that element and says so for two seconds. */
(() => {
  "use strict";
  const select = element => { const range = document.createRange(); range.selectNodeContents(element); const selection = getSelection(); selection.removeAllRanges(); selection.addRange(range); };

  document.addEventListener("click", async event => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const source = document.getElementById(button.dataset.copy);
    const words = button.querySelector(".words");
    let said = "Copied";
    try { await navigator.clipboard.writeText(source.value ?? source.textContent); }
    catch { select(source); said = document.execCommand("copy") ? "Copied" : "Press Ctrl+C"; }
    button.dataset.copied = "";
    words.textContent = said;
    setTimeout(() => { delete button.dataset.copied; words.textContent = "Copy"; }, 2000);
  });
})();
