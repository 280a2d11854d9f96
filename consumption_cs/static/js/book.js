/* My book: the bulk bar, the cursor row and the shortcuts. Without script the queue is plain links, boxes and buttons. */
(() => {
  "use strict";
  const $ = id => document.getElementById(id);
  const rows = () => [...document.querySelectorAll("#queue tr[data-row]")];
  const box = row => row.querySelector("input[type=checkbox]");
  const nameOf = row => row.querySelector(".name");
  function showSelection() {
    const bulk = $("bulk"), every = rows();
    if (!bulk) return;
    const on = every.filter(row => box(row).checked), sums = new Map();
    for (const row of every) row.classList.toggle("picked", box(row).checked);
    for (const row of on) sums.set(box(row).dataset.currency, (sums.get(box(row).dataset.currency) || 0) + Number(box(row).dataset.risk));
    const money = [...sums].filter(([, sum]) => sum > 0).map(([code, sum]) => sum.toLocaleString("en-US", { style: "currency", currency: code, maximumFractionDigits: 0 }));
    bulk.hidden = !on.length;
    $("filters").hidden = on.length > 0;
    $("picked").textContent = `${on.length} selected` + (money.length ? ` · ${money.join(" + ")} at risk` : "");
    const all = document.querySelector("[data-select-all]");
    all.checked = on.length === every.length;
    all.indeterminate = on.length > 0 && !all.checked;
  }
  document.addEventListener("change", event => { if (event.target.matches("#queue input[type=checkbox]")) showSelection(); });
  document.addEventListener("click", event => {
    if (event.target.closest("#clear")) { for (const row of rows()) box(row).checked = false; showSelection(); nameOf(rows()[0])?.focus(); }
  });

  /* The cursor: a row stays chosen by its account when the queue is exchanged, or else the one in its place. */
  let at = -1, account = "", wasInQueue = false;
  function mark(next, focus = true) {
    const every = rows();
    for (const row of every) row.classList.remove("cursor");
    if (!every.length) return;
    at = Math.max(0, Math.min(every.length - 1, next));
    account = nameOf(every[at]).href;
    every[at].classList.add("cursor");
    if (!focus) return;
    nameOf(every[at]).focus({ preventScroll: true });
    every[at].scrollIntoView({ block: "nearest" });
  }
  document.addEventListener("focusin", event => {
    const row = event.target.closest?.("#queue tr[data-row]");
    if (row) mark(rows().indexOf(row), false);
  });
  document.addEventListener("htmx:beforeSwap", () => { wasInQueue = !!document.activeElement?.closest("#queue, #several"); });
  document.addEventListener("htmx:afterSettle", event => {
    if (event.target.id !== "book" && !event.target.querySelector?.("#queue")) return;
    showSelection();
    if (at < 0) return;
    const same = rows().findIndex(row => nameOf(row).href === account);
    mark(same < 0 ? at : same, wasInQueue);
  });
  showSelection();

  function pick(on) {
    if (!$("bulk") || !rows().length) return false;
    if (at < 0) mark(0);
    const chosen = box(rows()[at]);
    chosen.checked = on ?? !chosen.checked;
    showSelection();
    return true;
  }
  const go = { b: "/book/", a: "/alerts/", r: "/run-outs/" };
  const keys = {
    j: () => mark(at + 1), k: () => mark(at - 1),
    e: () => rows()[Math.max(at, 0)]?.querySelector(".nex a.btn").click(),
    x: () => pick(),
    s: () => { if (rows().some(row => box(row)?.checked) || pick(true)) { $("bulk-snooze").showModal(); $("bs-days").focus(); } },
    "?": () => $("help").showModal(),
  };
  let last = "";
  document.addEventListener("keydown", event => {
    if (event.target.matches("input:not([type=checkbox]), select, textarea") || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (last === "g" && go[event.key]) { event.preventDefault(); location.assign(go[event.key]); }
    else if (keys[event.key]) { event.preventDefault(); keys[event.key](); }
    last = event.key;
  });
})();
