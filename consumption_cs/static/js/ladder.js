/* The board: arrow keys move over the cards; a card that was opened takes the focus to its detail. */
(() => {
  "use strict";
  const board = document.getElementById("board");
  const columns = () => [...board.querySelectorAll(".rung")].map(rung => [...rung.querySelectorAll(".wcard > .name")]);
  board?.addEventListener("keydown", event => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
    const cards = columns(), at = cards.findIndex(column => column.includes(document.activeElement));
    if (at < 0) return;
    const row = cards[at].indexOf(document.activeElement), step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    let to = { ArrowUp: cards[at][row - 1], ArrowDown: cards[at][row + 1] }[event.key];
    for (let i = at + step; step && cards[i] && !to; i += step) to = cards[i][Math.min(row, cards[i].length - 1)];
    if (!to) return;
    event.preventDefault();
    to.focus();
  });
  document.body.addEventListener("htmx:afterSettle", event => {
    if (event.target.id !== "detail") return;
    const url = location.pathname;
    for (const name of board.querySelectorAll(".wcard > .name")) {
      if (new URL(name.href).pathname === url) name.setAttribute("aria-current", "true");
      else name.removeAttribute("aria-current");
    }
    document.getElementById("d-h")?.focus({ preventScroll: true });
  });
})();
