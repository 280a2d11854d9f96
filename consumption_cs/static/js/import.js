/* Sends the file of form[data-upload] in pieces with progress, each piece tried again when the connection breaks. */
(() => {
  "use strict";
  const form = document.querySelector("form[data-upload]");
  if (!form) return;
  const input = form.querySelector("input[type=file]");
  const state = form.querySelector("[data-upload-state]");
  const bar = state.querySelector("progress");
  const words = state.querySelector("[data-upload-words]");
  const figure = state.querySelector("[data-upload-figure]");
  const button = form.querySelector("button[type=submit]");
  const token = form.querySelector("[name=csrfmiddlewaretoken]").value;
  const piece = Number(form.dataset.piece);
  const pause = seconds => new Promise(done => setTimeout(done, seconds * 1000));
  const size = bytes => bytes < 1048576 ? `${Math.ceil(bytes / 1024)} KiB` : `${(bytes / 1048576).toFixed(1)} MiB`;

  async function call(url, method, body) {
    for (let attempt = 0; ; attempt += 1) {
      let answer = null;
      try {
        answer = await fetch(url, { method, body, headers: { "X-CSRFToken": token, "Content-Type": "application/octet-stream" } });
      } catch { /* no connection: tried again below */ }
      if (answer && answer.status < 500 && answer.status !== 429) return answer;
      if (attempt === 5) throw new Error("The connection broke. Go to the list of imports and upload the file again.");
      words.textContent = "No connection. Trying again…";
      await pause(2 ** attempt);
      words.textContent = "Uploading…";
    }
  }

  async function refusal(answer) {
    try { return (await answer.json()).detail; } catch { return "The file was refused."; }
  }

  async function stored(made) {
    const answer = await call(made.self, "GET");
    return answer.ok ? (await answer.json()).bytes : -1;
  }

  async function send(file, made) {
    for (let at = 0; at < file.size || at === 0; at += piece) {
      const last = at + piece >= file.size;
      const answer = await call(`${made.upload}?offset=${at}&last=${last}`, "PUT", file.slice(at, at + piece));
      const sent = Math.min(at + piece, file.size);
      /* The answer to a piece may be lost after it was stored: then the import has it, and refuses it a second time. */
      if (!answer.ok && !(answer.status === 409 && await stored(made) === sent)) throw new Error(await refusal(answer));
      bar.value = file.size ? 100 * sent / file.size : 100;
      figure.textContent = `${size(sent)} of ${size(file.size)}`;
    }
    const checked = await call(made.check, "POST", null);
    if (!checked.ok) throw new Error(await refusal(checked));
    location.assign(made.page);
  }

  function fail(message) {
    words.textContent = message;
    words.className = "bad-t";
    bar.hidden = true;
    figure.textContent = "";
    button.disabled = false;
    form.removeAttribute("aria-busy");
  }

  form.addEventListener("submit", async event => {
    const file = input.files[0];
    if (!file) return;
    event.preventDefault();
    form.elements.file_name.value = file.name;
    const data = new FormData(form);
    data.delete("file");
    button.disabled = true;
    form.setAttribute("aria-busy", "true");
    state.hidden = bar.hidden = false;
    words.className = "";
    words.textContent = "Uploading…";
    bar.value = 0;
    try {
      const answer = await fetch(form.action || location.href, { method: "POST", body: data, headers: { "X-Upload": "1" } });
      if (answer.status === 422) { input.value = ""; form.submit(); return; }
      if (!answer.ok) throw new Error("The import could not be made. Load the page anew and try again.");
      await send(file, await answer.json());
    } catch (error) { fail(error.message); }
  });
})();
