/* Draws each [data-chart] from the JSON script it names (see consumption_cs/lib/figures.py), when it scrolls into view.
   The library comes late and from our own server; text, bars and tables are on the page without it. */
(() => {
  "use strict";
  const librarySource = document.currentScript.dataset.plotly;
  const root = document.documentElement;
  const drawn = new Set();
  const probe = document.createElement("span");
  probe.hidden = true;
  document.body.append(probe);
  let library = null;

  function load() {
    library ??= new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = librarySource;
      script.onload = () => resolve(window.Plotly);
      script.onerror = () => reject(new Error("chart library missing"));
      document.head.append(script);
    });
    return library;
  }

  /* Plotly reads a little HTML in texts, links included: a name must never become one. */
  const safe = text => String(text ?? "").replace(/[&<>]/g, sign => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;" })[sign]);
  const isSmall = () => innerWidth < 720;

  /* Resolved to rgb(): custom properties may be light-dark() or color-mix(). */
  function colour(name) {
    probe.style.color = `var(${name})`;
    return getComputedStyle(probe).color;
  }
  const TONES = { main: "--chart-1", weak: "--chart-1-weak", band: "--chart-band", second: "--chart-2", third: "--chart-3", flag: "--chart-flag", good: "--good", bad: "--bad", ghost: "--chart-ghost", line: "--chart-line", dash: "--chart-line", "second-dash": "--chart-2", ref: "--chart-ref", clear: "--chart-clear", ink: "--ink" };
  const tone = name => colour(TONES[name] || "--chart-1");

  function formatter(spec) {
    if (spec.value === "percent") return value => `${+(value * 100).toFixed(1)}%`;
    const short = value => {
      const size = Math.abs(value);
      const [scale, letter] = size >= 1e9 ? [1e9, "B"] : size >= 1e6 ? [1e6, "M"] : size >= 1e4 ? [1e3, "k"] : [1, ""];
      return new Intl.NumberFormat("en-US", { maximumSignificantDigits: 4 }).format(value / scale) + letter;
    };
    if (spec.value !== "money") return value => `${short(value)}${spec.unit ? ` ${spec.unit}` : ""}`;
    const parts = new Intl.NumberFormat("en-US", { style: "currency", currency: spec.currency }).formatToParts(0);
    const symbol = parts.find(part => part.type === "currency").value;
    return value => `${value < 0 ? "\u2212" : ""}${symbol}${symbol.length > 2 ? "\u00a0" : ""}${short(Math.abs(value))}`;
  }

  /* Four or so round steps that end above the highest value. */
  function ticks(lowest, highest) {
    const span = highest - lowest || 1;
    const raw = span / 4;
    const power = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 2.5, 5, 10].map(factor => factor * power).find(size => size >= raw * 0.999);
    const values = [];
    for (let value = Math.floor(lowest / step) * step; value <= highest + step * 0.001; value += step) values.push(+value.toPrecision(12));
    return values;
  }

  function extremes(spec) {
    const sums = new Map();
    let [low, high] = spec.fromZero ? [0, 0] : [Infinity, -Infinity];
    if (spec.axisFrom !== null) [low, high] = [spec.axisFrom, spec.axisFrom];
    for (const series of spec.series) {
      series.y.forEach((value, index) => {
        if (value === null) return;
        if (series.base.length || series.kind === "level") {
          const ends = [series.base[index] ?? value, (series.base[index] ?? 0) + value];
          [low, high] = [Math.min(low, ...(spec.axisFrom === null ? ends : [])), Math.max(high, ...ends)];
          return;
        }
        const key = series.x[index];
        const stacks = (spec.stacked && series.kind === "bar") || series.kind === "layer";
        const total = stacks ? (sums.get(key) || 0) + value : value;
        if (stacks) sums.set(key, total);
        [low, high] = [Math.min(low, total), Math.max(high, total)];
      });
    }
    for (const rule of spec.rules) if (rule.y !== null) [low, high] = [Math.min(low, rule.y), Math.max(high, rule.y)];
    return low > high ? [0, 1] : [low, high];
  }

  const font = (extra = {}) => ({ family: getComputedStyle(document.body).fontFamily, size: 12, ...extra });

  function trace(series, spec, format) {
    const lines = series.hover.length ? series.hover : series.y.map(y => (y === null ? "" : `${series.name}: ${format(y)}`));
    const common = { x: spec.dates ? series.x : series.x.map(safe), y: series.y, name: safe(series.name), customdata: lines.map(text => safe(text).replace(/\n/g, "<br>")), hovertemplate: "%{customdata}<extra></extra>" };
    if (series.kind === "bar") {
      const flagged = new Set(series.flagged);
      return { ...common, ...(series.base.length ? { base: series.base } : {}), type: "bar", marker: { color: series.y.map((_, index) => (flagged.has(index) ? tone("flag") : tone(series.tone))), cornerradius: 3 } };
    }
    if (series.kind === "level") return { ...common, type: "scatter", mode: "markers", marker: { opacity: 0 } }; // its line is a shape
    if (series.kind === "layer") return { ...common, type: "scatter", mode: "lines", line: { width: 0 }, stackgroup: "layers", fillcolor: tone(series.tone) };
    if (series.kind === "fan") return { ...common, type: "scatter", mode: "lines", line: { width: 0 }, ...(series.name ? { fill: "tonexty", fillcolor: tone(series.tone) } : {}), ...(series.name && !series.hover.length ? {} : { hoverinfo: "skip", hovertemplate: null }) };
    const line = { color: tone(series.tone === "main" ? "line" : series.tone), width: 2.25, dash: series.tone.endsWith("dash") ? "5px,4px" : series.tone === "ref" ? "2px,3px" : "solid" };
    const lonely = series.y.filter(value => value !== null).length === 1;
    return { ...common, type: "scatter", mode: lonely ? "markers" : "lines", line, connectgaps: false, ...(series.kind === "area" ? { fill: "tozeroy", fillcolor: tone("band") } : {}) };
  }

  /* Dots and rings in lanes above the bars, each lane on its own height of the second axis. */
  function laneTraces(spec) {
    return [false, true].map(ring => {
      const dots = spec.lanes.flatMap((lane, index) => lane.dots.filter(dot => dot.ring === ring).map(dot => ({ ...dot, index })));
      const marker = ring ? { size: 9, color: colour("--surface"), line: { width: 2, color: colour("--warn") } } : { size: 9, color: colour("--good") };
      return { type: "scatter", mode: "markers", yaxis: "y2", x: dots.map(dot => dot.x), y: dots.map(dot => dot.index), customdata: dots.map(dot => safe(dot.text)), hovertemplate: "%{customdata}<extra></extra>", marker };
    }).filter(dots => dots.x.length);
  }

  /* Makes room for the lanes at the top and names them; on a phone the notes inside them are left out. */
  function withLanes(plan, spec) {
    const share = Math.min(0.13 * spec.lanes.length, 0.45);
    const count = spec.lanes.length;
    const names = spec.lanes.map(lane => safe(isSmall() ? lane.name.split(" ")[0] : lane.name));
    plan.margin.l = Math.max(plan.margin.l, 20 + Math.max(...names.map(name => name.length)) * 6.4);
    plan.yaxis.domain = [0, 1 - share - 0.06];
    plan.yaxis2 = { domain: [1 - share, 1], range: [count - 0.4, -0.6], fixedrange: true, zeroline: false, showgrid: false, tickvals: names.map((_, index) => index), ticktext: names, tickfont: font({ color: colour("--ink-2") }) };
    plan.xaxis.anchor = "y";
    const days = spec.series[0].x;
    plan.annotations.slice(0, spec.marks.length).forEach(words => { // at an edge the words lean inwards
      const place = days.indexOf(words.x) / days.length;
      if (place > 0.85 || (place >= 0 && place < 0.1)) words.xanchor = place > 0.5 ? "right" : "left";
    });
    if (isSmall()) plan.annotations = plan.annotations.filter((_, index) => !(index > 0 && index < spec.marks.length)); // the first mark says most
    if (spec.dates) {
      const [first, last] = [days[0], days.at(-1)].map(day => Date.parse(day));
      plan.xaxis.range = [first - 432e5, last + 432e5].map(moment => new Date(moment).toISOString());
    }
    spec.lanes.forEach((lane, index) => {
      plan.shapes.push({ type: "line", xref: "paper", x0: 0, x1: 1, yref: "y2", y0: index, y1: index, line: { color: colour("--chart-grid"), width: 1 }, layer: "below" });
      if (lane.note && !isSmall()) plan.annotations.push({ showarrow: false, xref: "paper", x: 0.5, yref: "y2", y: index, text: safe(lane.note), font: font({ color: colour("--ink-3") }), bgcolor: colour("--surface") });
    });
    return plan;
  }

  /* Bars that float: short thick lines for totals, thin dotted ones from each bar to the next. */
  function steps(spec) {
    const level = (x0, x1, y, line) => ({ type: "line", x0, x1, y0: y, y1: y, line, layer: "above" });
    const totals = spec.series.filter(series => series.kind === "level").flatMap(series => series.y.map((y, index) => y !== null && level(index - 0.36, index + 0.36, y, { width: 3, color: colour("--ink") })));
    const isEmpty = index => spec.series.every(series => series.y[index] === null); // the line goes on where no bar stands
    const links = spec.links.map((y, index) => y !== null && level(index + (isEmpty(index) ? 0 : 0.36), index + (isEmpty(index + 1) ? 1 : 0.64), y, { width: 1, color: colour("--chart-ref"), dash: "2px,2px" }));
    return [...totals, ...links].filter(Boolean);
  }

  /* The last value of each line at its right end, moved apart where they would lie on each other. */
  function ends(spec, format, range, height) {
    const lasts = spec.series.filter(series => series.kind === "line").flatMap(series => {
      const index = series.y.findLastIndex(y => y !== null);
      return index < 0 || index < series.y.length - 1 ? [] : [{ x: series.x[index], y: series.y[index], weak: series.tone !== "main" }];
    }).sort((one, other) => one.y - other.y);
    const scale = (height - 50) / (range[1] - range[0]);
    let floor = -Infinity;
    return lasts.map(({ x, y, weak }) => {
      const place = Math.max(y * scale, floor);
      floor = place + 15;
      return { showarrow: false, x, y, xanchor: "left", xshift: 6, yshift: place - y * scale, text: safe(format(y)), font: font({ weight: 600, color: colour(weak ? "--ink-2" : "--ink") }) };
    });
  }

  function layout(spec, format, height) {
    const [low, high] = extremes(spec);
    const values = ticks(low, high).filter(value => spec.axisFrom === null || value >= spec.axisFrom);
    const range = [Math.min(values[0], low), Math.max(values.at(-1), high + (high - low) * (spec.marks.length ? 0.12 : 0.03)) || 1];
    const places = spec.namesSmall.length && isSmall() ? { tickvals: spec.namesSmall.map((_, index) => index), ticktext: spec.namesSmall.map(safe), tickangle: 0, tickfont: font({ size: 11 }) } : {};
    const widest = Math.max(...values.map(value => format(value).length));
    const axis = { showgrid: false, zeroline: false, fixedrange: true, ticks: "outside", ticklen: 4, tickcolor: "rgba(0,0,0,0)", showspikes: false };
    const note = (extra, words) => ({ showarrow: false, text: safe(words), font: font({ color: colour("--ink-2") }), ...extra });
    const straight = rule => ({ type: "line", line: rule.tone === "bad" ? { color: colour("--bad"), width: 1.5 } : { color: colour("--chart-ref"), width: 1, dash: "4px,4px" }, layer: "above" });
    const level = { xref: "paper", x: 0, xanchor: "left", yanchor: "bottom", xshift: 4, font: font({ weight: 600, color: colour("--bad") }) };
    return {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: false, dragmode: false, bargap: 0.28, hovermode: "x unified",
      barmode: spec.stacked ? "stack" : "group", transition: { duration: 0 },
      margin: { l: 24 + widest * 6.6, r: spec.ends ? 58 : 20, t: 18, b: 32 }, font: font({ color: colour("--chart-axis") }),
      hoverlabel: { bgcolor: colour("--surface"), bordercolor: colour("--line-strong"), font: font({ color: colour("--ink") }) },
      xaxis: { ...axis, linecolor: colour("--line-strong"), showline: true, nticks: isSmall() ? (spec.hours ? 3 : 4) : spec.hours ? 6 : 8, ...(spec.dates ? { type: "date", tickformat: spec.months ? (isSmall() ? "%b" : "%b %Y") : spec.hours ? "%b %-d, %H:%M" : "%b %-d", hoverformat: spec.months ? "%B %Y" : spec.hours ? "%a, %b %-d, %H:%M" : "%a, %b %-d" } : { type: "category", ...places }), ...(spec.ends && spec.dates ? { range: [spec.series[0].x[0], spec.series[0].x.at(-1)] } : {}) },
      yaxis: { ...axis, gridcolor: colour("--chart-grid"), showgrid: true, tickvals: values, ticktext: values.map(format), range },
      shapes: [...steps(spec), ...spec.rules.map(rule => rule.y !== null ? { ...straight(rule), xref: "paper", x0: 0, x1: 1, y0: rule.y, y1: rule.y } : { ...straight(rule), yref: "paper", x0: rule.x, x1: rule.x, y0: 0, y1: 1 })],
      annotations: [
        ...spec.marks.map(mark => note({ x: mark.x, y: mark.y, yshift: 12, font: font({ weight: 600, color: colour(mark.tone === "flag" ? "--warn" : "--ink") }) }, mark.text)),
        ...spec.rules.filter(rule => rule.tone === "bad").map(rule => note({ ...level, y: rule.y }, isSmall() ? format(rule.y) : rule.text)),
        ...spec.rules.filter(rule => rule.y === null).map(rule => note({ x: rule.x, yref: "paper", y: 1, yanchor: "top", xanchor: "left", xshift: 6 }, rule.text)),
        ...(spec.ends ? ends(spec, format, range, height) : []),
      ],
    };
  }

  function draw(element) {
    const spec = JSON.parse(document.getElementById(element.dataset.chart).textContent);
    const format = formatter(spec);
    const traces = spec.series.map(series => trace(series, spec, format));
    const plan = layout(spec, format, element.clientHeight);
    window.Plotly.react(element.querySelector(".plot"), [...traces, ...(spec.lanes.length ? laneTraces(spec) : [])], spec.lanes.length ? withLanes(plan, spec) : plan, { displayModeBar: false, responsive: true, scrollZoom: false });
    element.dataset.drawn = "";
    drawn.add(element);
  }

  function failed(element) {
    const words = document.createElement("div");
    words.className = "say";
    words.textContent = "The chart could not be drawn. Its numbers are below.";
    element.append(words);
    const numbers = element.parentElement.querySelector("details.data");
    if (numbers) numbers.open = true;
  }

  const idle = window.requestIdleCallback || (work => setTimeout(work, 200));
  /* With the library here, the charts further down cost little: draw them when nothing else is going on. */
  const rest = () => idle(() => { for (const element of document.querySelectorAll("[data-chart]:not([data-drawn])")) { watcher.unobserve(element); draw(element); } });
  const show = element => load().then(() => { if (element.isConnected && !drawn.has(element)) draw(element); rest(); }).catch(error => { console.warn(error); failed(element); });
  const watcher = new IntersectionObserver(entries => {
    for (const entry of entries) if (entry.isIntersecting) { watcher.unobserve(entry.target); show(entry.target); }
  }, { rootMargin: "100% 0px" });
  function watch(scope) {
    for (const element of scope.querySelectorAll("[data-chart]")) if (!drawn.has(element)) watcher.observe(element);
  }
  function redraw() {
    for (const element of [...drawn]) {
      if (element.isConnected) draw(element);
      else { window.Plotly.purge(element.querySelector(".plot")); drawn.delete(element); }
    }
  }

  watch(document);
  document.addEventListener("themechange", redraw);
  document.addEventListener("htmx:load", event => { redraw(); watch(event.target.parentElement || document); });
  let small = isSmall();
  addEventListener("resize", () => { if (small !== isSmall()) { small = isSmall(); redraw(); } });
  matchMedia("print").addEventListener("change", redraw); // paper is always light
  root.dataset.charts = "ready";
})();
