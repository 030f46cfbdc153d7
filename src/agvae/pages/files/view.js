"use strict";
(() => {
  const LARGEST = 64, SMALLEST_SIDE = 16;
  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
  const NAMES = { 1: ["grey "], 2: ["grey ", "alpha "], 3: ["R ", "G ", "B "], 4: ["R ", "G ", "B ", "alpha "] };
  const READ = {
    uint16: (png, at) => png.numbers.getUint16(at),
    int32: (png, at) => png.numbers.getInt32(at),
    float32: (png, at) => png.numbers.getFloat32(at),
  };

  const sections = document.querySelectorAll(".picture"), several = sections.length > 1;
  for (const section of sections) {
    const find = (selector) => section.querySelector(selector);
    const stage = find(".stage"), sheet = find(".sheet"), pixel = find(".pixel"), canvas = find("canvas");
    const images = [...sheet.querySelectorAll("img")];
    let current = images[0], place = { x: 0, y: 0, scale: 1 }, fitting = false, asked = null, read = null;

    const size = () => ({ width: Number(current.dataset.width), height: Number(current.dataset.height) });
    const dots = () => window.devicePixelRatio || 1;
    const fit = () => Math.min(stage.clientWidth / size().width, stage.clientHeight / size().height, LARGEST / dots());

    // Of a picture that is smaller than the stage the middle is in its middle; others leave none of it empty.
    const inside = (at, length, room) => (length <= room ? (room - length) / 2 : clamp(at, room - length, 0));
    const lay = () => {
      const { width, height } = size(), step = Number(current.dataset.step);
      if (fitting) place.scale = fit();
      place.x = inside(place.x, width * place.scale, stage.clientWidth);
      place.y = inside(place.y, height * place.scale, stage.clientHeight);
      const box = { left: place.x, top: place.y, width: width * place.scale, height: height * place.scale };
      for (const [name, value] of Object.entries(box)) sheet.style[name] = `${value}px`;
      sheet.classList.toggle("crisp", place.scale * dots() * step >= 1);
      const larger = width * place.scale > stage.clientWidth + 1 || height * place.scale > stage.clientHeight + 1;
      stage.classList.toggle("zoomed", larger);
      find(".scale").textContent = `${Number((100 * place.scale * dots()).toPrecision(3))} %`;
    };
    const middle = () => [stage.clientWidth / 2, stage.clientHeight / 2];
    const zoom = (scale, [x, y] = middle()) => {
      const least = Math.min(fit(), 1 / dots(), SMALLEST_SIDE / Math.max(size().width, size().height));
      const wanted = clamp(scale, least, LARGEST / dots());
      place.x = x - ((x - place.x) * wanted) / place.scale;
      place.y = y - ((y - place.y) * wanted) / place.scale;
      place.scale = wanted;
      fitting = false;
      lay();
    };
    const whole = () => { fitting = true; lay(); };
    const one = (at) => zoom(1 / dots(), at);
    const move = (dx, dy) => {
      const { x, y } = place;
      place.x += dx;
      place.y += dy;
      lay();
      return x !== place.x || y !== place.y;
    };

    // The samples of the current frame, read when they are first needed.
    const samples = async () => {
      if (read?.image !== current) read = { image: current, png: readPng(current.src) };
      const { image, png } = read, found = await png;
      return image === current ? found : null;
    };
    const tell = async (point) => {
      asked = point;
      if (point === null) { pixel.textContent = "\u00a0"; return; }
      const step = Number(current.dataset.step);
      const x = Math.floor((point[0] - place.x) / place.scale), y = Math.floor((point[1] - place.y) / place.scale);
      if (x < 0 || y < 0 || x >= size().width || y >= size().height) { pixel.textContent = "\u00a0"; return; }
      const where = `x ${x}, y ${y}`, { kind } = current.dataset;
      let text;
      try {
        const png = await samples();
        if (png === null || asked !== point) return;
        const at = (Math.min(Math.floor(y / step), png.height - 1) * png.width + Math.min(Math.floor(x / step), png.width - 1)) * png.unit;
        if (kind === "uint8") text = NAMES[png.bands].map((name, band) => name + png.samples[at + band]).join(", ");
        else text = Number(READ[kind](png, at).toPrecision(kind === "float32" ? 8 : 12)).toString();
      } catch {
        text = "this browser cannot read values";
      }
      pixel.textContent = `${where}: ${text}${step > 1 ? ` (mean of ${step} x ${step})` : ""}`;
    };

    const paint = async () => {
      if (!canvas) return;
      const image = current, { kind } = image.dataset;
      canvas.hidden = kind === "uint8";
      if (canvas.hidden) return;
      try {
        const png = await samples();
        if (png === null) return;
        const low = Number(find(".low").value), scale = 255 / (Number(find(".high").value) - low || 1);
        const drawn = new ImageData(png.width, png.height), grey = new Uint32Array(drawn.data.buffer);
        for (let k = 0; k < grey.length; k++) {
          const value = (READ[kind](png, k * png.unit) - low) * scale;
          grey[k] = 0xff000000 | (0x010101 * (value > 0 ? Math.min(Math.round(value), 255) : 0));
        }
        Object.assign(canvas, { width: png.width, height: png.height });
        canvas.getContext("2d").putImageData(drawn, 0, 0);
      } catch {
        pixel.textContent = "This browser cannot show values of more than 8 bits.";
      }
    };

    const film = find(".film"), play = find(".play");
    let clock = 0;
    const show = (index) => {
      current = images[index];
      images.forEach((image) => image.classList.toggle("current", image === current));
      if (film) {
        film.value = index + 1;
        const { number, duration } = current.dataset;
        find(".which").textContent = `${number} of ${images.length}${duration ? `, ${Number(duration)} ms` : ""}`;
        film.setAttribute("aria-valuetext", find(".which").textContent);
      }
      lay();
      paint();
      if (asked) tell(asked);
    };
    const turn = (by) => { if (film) show((images.indexOf(current) + by + images.length) % images.length); };
    const run = () => { clock = setTimeout(() => { turn(1); run(); }, Math.max(Number(current.dataset.duration) || 100, 20)); };
    film?.addEventListener("input", () => show(film.value - 1));
    play?.addEventListener("click", () => {
      play.textContent = clock ? "Play" : "Pause";
      if (clock) { clearTimeout(clock); clock = 0; } else run();
    });

    const point = (event) => {
      const box = stage.getBoundingClientRect();
      return [event.clientX - box.left - stage.clientLeft, event.clientY - box.top - stage.clientTop];
    };
    stage.addEventListener("wheel", (event) => {
      if (several && !event.ctrlKey && document.activeElement !== stage) return;  // somebody scrolls to the next
      event.preventDefault();
      const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
      zoom(place.scale * Math.exp(-event.deltaY * lines * (event.ctrlKey ? 0.01 : 0.002)), point(event));
      tell(point(event));
    }, { passive: false });
    stage.addEventListener("dblclick", (event) => (fitting ? one(point(event)) : whole()));

    // One finger or the mouse drags, two fingers zoom around what is between them.
    const held = new Map();
    const spread = () => {
      const [a, b] = [...held.values()];
      return { at: [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2], far: Math.hypot(a[0] - b[0], a[1] - b[1]) || 1 };
    };
    stage.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      stage.setPointerCapture(event.pointerId);
      held.set(event.pointerId, point(event));
      stage.classList.add("dragged");
      tell(point(event));
    });
    stage.addEventListener("pointermove", (event) => {
      const before = held.get(event.pointerId), now = point(event);
      if (before && held.size === 1) {
        move(now[0] - before[0], now[1] - before[1]);
        held.set(event.pointerId, now);
      } else if (before && held.size === 2) {
        const old = spread();
        held.set(event.pointerId, now);
        const { at, far } = spread();
        move(at[0] - old.at[0], at[1] - old.at[1]);
        zoom((place.scale * far) / old.far, at);
      }
      tell(now);
    });
    for (const name of ["pointerup", "pointercancel"]) {
      stage.addEventListener(name, (event) => {
        held.delete(event.pointerId);
        if (!held.size) stage.classList.remove("dragged");
      });
    }
    stage.addEventListener("pointerleave", () => tell(null));

    const keys = {
      "+": () => zoom(place.scale * 1.25), "=": () => zoom(place.scale * 1.25), "-": () => zoom(place.scale / 1.25),
      0: whole, 1: () => one(),
      ArrowLeft: () => move(64, 0), ArrowRight: () => move(-64, 0), ArrowUp: () => move(0, 64), ArrowDown: () => move(0, -64),
      ",": () => turn(-1), ".": () => turn(1),
    };
    stage.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || !Object.hasOwn(keys, event.key)) return;
      if (keys[event.key]() === false) return;  // nothing moved: the page may
      event.preventDefault();
      tell(middle());
    });
    find(".fit").addEventListener("click", whole);
    find(".one").addEventListener("click", () => one());
    find(".in").addEventListener("click", () => zoom(place.scale * 1.25));
    find(".out").addEventListener("click", () => zoom(place.scale / 1.25));

    if (canvas) {
      const ends = ["low", "high"].map((name) => find(`.${name}`));
      for (const end of ends) end.addEventListener("change", paint);
      const take = (value) => { for (const end of ends) end.value = value(end); paint(); };
      find(".all").addEventListener("click", () => take((end) => end.defaultValue));
      find(".this")?.addEventListener("click", () => take((end) => current.dataset[end.className] || end.defaultValue));
    }
    fitting = fit() < 1;
    new ResizeObserver(lay).observe(stage);
    show(0);
  }
})();
