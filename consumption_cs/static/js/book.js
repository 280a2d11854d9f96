/* My book: the bulk bar, the cursor row and the shortcuts. Without script the queue is plain links, boxes and buttons. */
(() => {
  "use strict";
  const $ = id => document.getElementById(id);
  const rows = [...document.querySelectorAll("#queue tr[data-row]")];
  const box = row => row.querySelector("input[type=checkbox]");
  const bulk = $("bulk"), all = document.querySelector("[data-select-all]");
  function showSelection() {
    if (!bulk) return;
    const on = rows.filter(row => box(row).checked), sums = new Map();
    for (const row of rows) row.classList.toggle("picked", box(row).checked);
    for (const row of on) sums.set(box(row).dataset.currency, (sums.get(box(row).dataset.currency) || 0) + Number(box(row).dataset.risk));
    const money = [...sums].filter(([, sum]) => sum > 0).map(([code, sum]) => sum.toLocaleString("en-US", { style: "currency", currency: code, maximumFractionDigits: 0 }));
    bulk.hidden = !on.length;
    $("filters").hidden = on.length > 0;
    $("picked").textContent = `${on.length} selected` + (money.length ? ` · ${money.join(" + ")} at risk` : "");
    all.checked = on.length === rows.length;
    all.indeterminate = on.length > 0 && on.length < rows.length;
  }
  if (bulk) {
    document.addEventListener("change", event => { if (event.target.matches("#queue input[type=checkbox]")) showSelection(); });
    $("clear").addEventListener("click", () => { for (const row of rows) box(row).checked = false; showSelection(); rows[0].querySelector(".name").focus(); });
    showSelection();
  }
  let at = -1, last = "";
  function moveTo(next) {
    if (!rows.length) return;
    rows[at]?.classList.remove("cursor");
    at = Math.max(0, Math.min(rows.length - 1, next));
    rows[at].classList.add("cursor");
    rows[at].querySelector(".name").focus({ preventScroll: true });
    rows[at].scrollIntoView({ block: "nearest" });
  }
  const pick = on => { if (bulk && rows.length) { if (at < 0) moveTo(0); box(rows[at]).checked = on ?? !box(rows[at]).checked; showSelection(); } };
  const go = { b: "/book/", a: "/alerts/", r: "/run-outs/" };
  const keys = {
    j: () => moveTo(at + 1), k: () => moveTo(at - 1),
    e: () => { if (rows.length) rows[Math.max(at, 0)].querySelector(".nex .btn").click(); },
    x: () => pick(), s: () => { if (bulk) { pick(true); bulk.querySelector("select[name=days]").focus(); } },
    "?": () => $("help").showModal(),
  };
  document.addEventListener("keydown", event => {
    if (event.target.matches("input:not([type=checkbox]), select, textarea") || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (last === "g" && go[event.key]) { event.preventDefault(); location.assign(go[event.key]); }
    else if (keys[event.key]) { event.preventDefault(); keys[event.key](); }
    last = event.key;
  });
})();
