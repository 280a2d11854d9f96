/* What htmx leaves to the page: no polling in the background, words when a refresh fails, sign-in instead of a broken part. */
(() => {
  "use strict";
  const isPolling = element => /\bevery\b/.test(element.getAttribute("hx-trigger") || "");

  document.addEventListener("htmx:beforeRequest", event => {
    if (document.hidden && isPolling(event.detail.elt)) event.preventDefault();
  });
  /* A session that ended answers a fragment with the sign-in page: go there instead of showing it inside a card. */
  document.addEventListener("htmx:beforeSwap", event => {
    const { xhr, requestConfig } = event.detail;
    const answered = xhr.responseURL && new URL(xhr.responseURL).pathname;
    const asked = new URL(requestConfig.path, location.href).pathname;
    if (answered && answered !== asked && /<html[\s>]/i.test(xhr.responseText.slice(0, 400))) {
      event.detail.shouldSwap = false;
      location.reload();
    }
    if (xhr.status === 422) { event.detail.shouldSwap = true; event.detail.isError = false; }
  });

  function say(words) {
    const flash = document.getElementById("flash");
    if (!flash || flash.querySelector("[data-live]")) return;
    const alert = document.createElement("div");
    alert.className = "alert warn";
    alert.dataset.live = "";
    alert.setAttribute("role", "status");
    const text = document.createElement("div");
    text.textContent = words;
    alert.append(text);
    flash.append(alert);
  }
  const quiet = () => document.querySelector("#flash [data-live]")?.remove();
  document.addEventListener("htmx:sendError", () => say("No connection. What you see is from the last refresh; trying again."));
  document.addEventListener("htmx:timeout", () => say("The server takes long to answer. What you see is from the last refresh."));
  document.addEventListener("htmx:responseError", event => {
    if (isPolling(event.detail.elt)) say("This part could not be refreshed. What you see is from the last refresh; trying again.");
    else say(event.detail.xhr.status === 403 ? "You do not have the right to do that." : "That did not work. Please try again.");
  });
  document.addEventListener("htmx:afterOnLoad", event => { if (event.detail.successful !== false && event.detail.xhr.status < 400) quiet(); });
})();
