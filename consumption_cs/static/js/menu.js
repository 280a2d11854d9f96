/* Drop-downs are <details class="menu">: they open without script. This closes them and moves by arrow keys. */
(() => {
  "use strict";
  const open = () => [...document.querySelectorAll("details.menu[open]")];
  const entries = menu => [...menu.querySelectorAll(".pop a, .pop button")];

  document.addEventListener("click", event => { for (const menu of open()) if (!menu.contains(event.target)) menu.open = false; });
  document.addEventListener("focusin", event => { for (const menu of open()) if (!menu.contains(event.target)) menu.open = false; });
  document.addEventListener("keydown", event => {
    const menu = event.target.closest?.("details.menu");
    if (!menu) return;
    if (event.key === "Escape" && menu.open) { menu.open = false; menu.querySelector("summary").focus(); return; }
    if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
    event.preventDefault();
    menu.open = true;
    const list = entries(menu);
    const step = event.key === "ArrowDown" ? 1 : -1;
    const at = list.indexOf(document.activeElement);
    list.at(at < 0 ? (step > 0 ? 0 : -1) : (at + step) % list.length).focus();
  });
})();
