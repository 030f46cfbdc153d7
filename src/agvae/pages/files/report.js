"use strict";
(() => {
  const drawn = JSON.parse(document.getElementById("drawn").textContent);
  const find = (selector) => document.querySelector(selector);
  const panel = find(".panel"), boxes = find(".curves"), views = find(".views"), log = find(".logarithmic");
  const hidden = new Set();
  let rates = null;  // [lowest, highest] that is shown, null for that of our own curve

  const make = (name, attributes = {}, text = "") => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.textContent = text;
    return element;
  };

  const all = drawn.views[0].curves.map((curve) => curve.name);
  const measured = new Set((drawn.views[1] ?? drawn.views[0]).curves.map((curve) => curve.name));
  const kind = (name) => (name === drawn.own ? "own" : measured.has(name) ? "" : "published");

  // No colour twice: the first hues are far apart, later ones lie between.
  const HUES = [214, 26, 140, 340, 275, 180, 48, 312, 95, 8];
  const colours = new Map([[drawn.own, "var(--ink)"]]);
  for (const name of [...measured, ...all].filter((name) => name !== drawn.own)) {
    const count = colours.size - 1, hue = HUES[count] ?? (count * 137.508 + 61) % 360;
    if (!colours.has(name)) colours.set(name, `hsl(${hue.toFixed(1)} 75% var(--tone))`);
  }

  const ticks = (low, high, count) => {
    const rough = (high - low) / count, power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((factor) => factor * power).find((value) => value >= rough);
    const places = Math.max(0, -Math.floor(Math.log10(step)));
    const found = [];
    for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9; k++) found.push([k * step, (k * step).toFixed(places)]);
    return found;
  };
  const powers = (low, high) => [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20]
    .filter((value) => value >= low && value <= high).map((value) => [value, String(value)]);

  const plots = drawn.metrics.map((label, metric) => {
    const figure = document.createElement("figure"), caption = document.createElement("figcaption");
    const heading = document.createElement("strong"), output = document.createElement("output");
    heading.textContent = `${label} over bits per pixel`;
    caption.append(heading, output);
    const svg = make("svg", { class: "plot", tabindex: 0, role: "application", "aria-label": `${label} over bits per pixel. Arrow keys go from point to point.` });
    figure.append(caption, svg);
    const plot = { figure, svg, output, metric, current: null, shown: [] };

    const near = (event) => {
      const box = svg.getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top;
      const points = plot.shown.flatMap((curve) => curve.points.map((_, index) => [curve, index]));
      const far = ([curve, index]) => Math.hypot(curve.points[index].x - x, curve.points[index].y - y);
      const best = points.reduce((a, b) => (a && far(a) <= far(b) ? a : b), null);
      return best && far(best) < 60 ? best : null;
    };
    let from = null;
    svg.addEventListener("pointermove", (event) => {
      if (from === null) tell(plot, near(event));
      else select(plot, from, event.offsetX);
    });
    svg.addEventListener("pointerdown", (event) => {
      tell(plot, near(event));
      if (event.button !== 0 || event.pointerType === "touch") return;
      from = event.offsetX;
      svg.setPointerCapture(event.pointerId);
    });
    svg.addEventListener("pointerup", (event) => {
      const [low, high] = [from, event.offsetX].sort((a, b) => a - b);
      if (from !== null && high - low > 10) { rates = [plot.rate(low), plot.rate(high)]; draw(); }
      else if (from !== null) select(plot, 0, 0);
      from = null;
    });
    svg.addEventListener("dblclick", reset);
    svg.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
      if (event.key === "Escape") reset();
      if (!step || plot.shown.length === 0) return;
      event.preventDefault();
      const [curve, index] = plot.current ?? [plot.shown[0], -step[1]];
      const number = (plot.shown.indexOf(curve) + step[0] + plot.shown.length) % plot.shown.length;
      const next = plot.shown[number];
      tell(plot, [next, Math.min(Math.max(index + step[1], 0), next.points.length - 1)]);
    });
    find(".plots").append(figure);
    return plot;
  });

  const tell = (plot, place) => {
    plot.current = place;
    plot.svg.querySelector(".ring")?.remove();
    for (const path of plot.svg.querySelectorAll("path[data-name]")) path.classList.toggle("near", path.dataset.name === place?.[0].name);
    if (!place) { plot.output.textContent = ""; return; }
    const point = place[0].points[place[1]];
    const setting = point.setting === null ? "" : ` at ${Number(point.setting.toFixed(3))}`;
    plot.output.textContent = `${place[0].name}${setting}: ${point.rate.toFixed(3)} bpp, ${point.value.toFixed(2)} dB`;
    plot.svg.append(make("circle", { class: "ring", cx: point.x, cy: point.y, r: 7 }));
  };

  const select = (plot, a, b) => {
    plot.svg.querySelector(".chosen")?.remove();
    if (a === b) return;
    plot.svg.append(make("rect", { class: "chosen", x: Math.min(a, b), y: plot.top, width: Math.abs(a - b), height: plot.bottom - plot.top }));
  };

  function reset() { rates = null; draw(); }

  const draw = () => {
    const view = drawn.views[views.selectedIndex];
    for (const plot of plots) drawOne(plot, view);
  };

  const drawOne = (plot, view) => {
    const column = 2 + plot.metric;
    const curves = view.curves.map(({ name, points }) => ({
      name,
      points: points.filter((point) => point[1] > 0 && point[column] !== null)
        .map((point) => ({ setting: point[0], rate: point[1], value: point[column] }))
        .sort((a, b) => a.rate - b.rate),
    })).filter((curve) => curve.points.length > 0);
    const own = curves.find((curve) => curve.name === drawn.own);
    plot.figure.hidden = !own;
    if (!own) return;

    const width = plot.figure.clientWidth;
    if (width === 0) return;  // not laid out yet
    const height = Math.min(460, Math.max(320, width * 0.6));
    const names = curves.filter((curve) => !hidden.has(curve.name));
    const longest = Math.max(0, ...names.map((curve) => curve.name.length));
    const left = 44, right = width - Math.min(8.4 * longest + 18, width * 0.32), top = 8, bottom = height - 40;
    const ends = [own.points[0].rate, own.points.at(-1).rate], margin = 0.08 * (ends[1] - ends[0]) || 0.1;
    const [low, high] = rates ?? [log.checked ? ends[0] / 1.15 : Math.max(0, ends[0] - margin), ends[1] + margin];
    const scale = log.checked ? Math.log : (value) => value, back = log.checked ? Math.exp : (value) => value;
    const floor = log.checked ? Math.max(low, 1e-3) : low;
    const x = (rate) => left + ((scale(rate) - scale(floor)) / (scale(high) - scale(floor))) * (right - left);
    plot.rate = (place) => back(scale(floor) + ((place - left) / (right - left)) * (scale(high) - scale(floor)));

    const at = (curve, rate) => {
      const next = curve.points.findIndex((point) => point.rate >= rate);
      if (next < 1) return null;
      const [a, b] = [curve.points[next - 1], curve.points[next]];
      return a.value + ((b.value - a.value) * (scale(rate) - scale(a.rate))) / (scale(b.rate) - scale(a.rate));
    };
    const seen = (curve) => [at(curve, floor), ...curve.points.filter((p) => p.rate >= floor && p.rate <= high).map((p) => p.value), at(curve, high)]
      .filter((value) => value !== null);
    const values = seen(own).length ? seen(own) : names.flatMap(seen);
    const lowest = Math.min(...values) - 1, highest = Math.max(...values) + 1;
    const y = (value) => bottom - ((value - lowest) / (highest - lowest)) * (bottom - top);

    plot.svg.setAttribute("height", height);
    plot.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    plot.svg.replaceChildren();
    plot.current = null;
    plot.output.textContent = "";
    Object.assign(plot, { top, bottom });
    const id = `inside-${plot.metric}`;
    const clip = plot.svg.appendChild(make("clipPath", { id }));
    clip.append(make("rect", { x: left, y: top, width: right - left, height: bottom - top }));
    for (const [value, text] of ticks(lowest, highest, 6)) {
      plot.svg.append(make("line", { class: "grid", x1: left, x2: right, y1: y(value), y2: y(value) }));
      plot.svg.append(make("text", { class: "tick", x: left - 6, y: y(value) + 4, "text-anchor": "end" }, text));
    }
    for (const [rate, text] of log.checked ? powers(floor, high) : ticks(floor, high, width < 500 ? 4 : 8)) {
      plot.svg.append(make("line", { class: "grid", x1: x(rate), x2: x(rate), y1: top, y2: bottom }));
      plot.svg.append(make("text", { class: "tick", x: x(rate), y: bottom + 17, "text-anchor": "middle" }, text));
    }
    plot.svg.append(make("text", { class: "tick", x: (left + right) / 2, y: height - 4, "text-anchor": "middle" }, "bits per pixel"));

    const inside = plot.svg.appendChild(make("g", { "clip-path": `url(#${id})` }));
    const labels = [];
    for (const curve of [...names].sort((a, b) => (a === own) - (b === own))) {
      const colour = colours.get(curve.name) ?? "var(--soft)";
      curve.points.forEach((point) => Object.assign(point, { x: x(point.rate), y: y(point.value) }));
      const line = curve.points.map((point) => `${point.x.toFixed(1)},${point.y.toFixed(1)}`).join("L");
      inside.append(make("path", { class: kind(curve.name), "data-name": curve.name, d: `M${line}`, style: `stroke: ${colour}` }));
      for (const point of curve.points) inside.append(make("circle", { cx: point.x, cy: point.y, r: curve === own ? 4 : 2.8, style: `fill: ${colour}` }));
      const last = at(curve, high), within = curve.points.filter((point) => point.rate <= high && point.rate >= floor).at(-1);
      if (last === null && !within) continue;
      const value = last ?? within.value;
      if (value < lowest) continue;
      labels.push({ curve, colour, x: last === null ? within.x : right, y: Math.max(top, y(value)), at: 0 });
    }
    // Of more than there is room for, those that were measured have names; the others tell theirs when pointed at.
    const rank = (label) => ["own", "", "published"].indexOf(kind(label.curve.name));
    labels.sort((a, b) => rank(a) - rank(b)).splice(Math.floor((bottom - top) / 12));
    labels.sort((a, b) => a.y - b.y);
    const room = Math.min(15, (bottom - top) / Math.max(1, labels.length));
    labels.forEach((label, k) => { label.at = Math.max(label.y, k ? labels[k - 1].at + room : top + 5); });
    for (let k = labels.length - 1, most = bottom; k >= 0; k--, most -= room) labels[k].at = Math.min(labels[k].at, most);
    for (const label of labels) {
      const d = `M${label.x},${label.y}L${right},${label.at}H${right + 8}`;
      plot.svg.append(make("path", { d, style: `stroke: ${label.colour}; stroke-width: 1; opacity: 0.6` }));
      const text = make("text", { class: label.curve === own ? "name" : "", x: right + 11, y: label.at + 4, style: `fill: ${label.colour}` }, label.curve.name);
      plot.svg.append(text);
    }
    const reach = (point) => point.x >= left && point.x <= right && point.y >= top && point.y <= bottom;
    plot.shown = names.map((curve) => ({ name: curve.name, points: curve.points.filter(reach) })).filter((curve) => curve.points.length);
  };

  for (const { name } of drawn.views) views.add(new Option(name));
  const toggle = (name, shown) => (shown ? hidden.delete(name) : hidden.add(name));
  for (const name of all) {
    const label = document.createElement("label"), box = document.createElement("input"), line = document.createElement("i");
    Object.assign(box, { type: "checkbox", checked: true });
    line.className = kind(name);
    line.style.borderColor = colours.get(name);
    box.addEventListener("change", () => { toggle(name, box.checked); draw(); });
    label.append(box, line, name);
    boxes.append(label);
  }
  find(".none").addEventListener("click", () => {
    const boxesOfCurves = [...boxes.querySelectorAll("input")], shown = boxesOfCurves.every((box) => !box.checked);
    boxesOfCurves.forEach((box, index) => { box.checked = shown; toggle(all[index], shown); });
    draw();
  });
  views.addEventListener("change", draw);
  log.addEventListener("change", draw);
  find(".reset").addEventListener("click", reset);
  panel.hidden = boxes.hidden = false;
  let width = 0;  // of which alone plots depend
  new ResizeObserver(([{ contentRect }]) => {
    if (contentRect.width !== width) draw();
    width = contentRect.width;
  }).observe(find(".plots"));
})();
