// A figure's chip writes its name in braces where the cursor last was.
(() => {
  const form = document.querySelector("#words");
  if (!form) return;
  let last = form.querySelector("textarea");
  form.addEventListener("focusin", event => {
    if (event.target.matches("textarea")) last = event.target;
  });
  form.addEventListener("click", event => {
    const chip = event.target.closest("[data-insert]");
    if (!chip || !last) return;
    last.setRangeText(`{${chip.dataset.insert}}`, last.selectionStart, last.selectionEnd, "end");
    last.focus();
  });
})();
