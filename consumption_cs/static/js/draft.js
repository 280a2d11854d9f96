// The words of a draft: a figure's chip writes its name in braces where the cursor last was; nothing written is lost.
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
    last.dispatchEvent(new Event("input", { bubbles: true }));
    last.focus();
  });
  // What is written is published with the draft, kept or not; leaving the page with something unkept asks first.
  let unkept = false;
  const note = form.querySelector("#kept");
  const change = () => { unkept = true; if (note) note.hidden = false; };
  form.addEventListener("input", change);
  form.addEventListener("submit", () => { unkept = false; });
  addEventListener("beforeunload", event => { if (unkept) event.preventDefault(); });
  document.querySelector("#drop form")?.addEventListener("submit", () => { unkept = false; });
  document.querySelector("#publish form")?.addEventListener("submit", event => {
    unkept = false;
    for (const [name, value] of new FormData(form)) {
      if (name === "csrfmiddlewaretoken") continue;
      const field = document.createElement("input");
      Object.assign(field, { type: "hidden", name, value });
      event.target.append(field);
    }
  });
})();
