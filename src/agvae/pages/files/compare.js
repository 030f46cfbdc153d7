"use strict";
(() => {
  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

  for (const section of document.querySelectorAll(".picture")) {
    const find = (selector) => section.querySelector(selector);
    const stage = find(".stage"), view = find(".view"), sheet = find(".sheet"), slider = find(".slider");
    const images = [...sheet.querySelectorAll("img")];
    const sides = { left: find(".side-left"), right: find(".side-right") };

    // The cut stands still in the window, and so moves over the sheet when this is scrolled.
    const cut = () => {
      const at = (slider.value / 100) * view.clientWidth;
      const place = at + view.scrollLeft - sheet.offsetLeft;
      stage.style.setProperty("--at", `${at}px`);
      stage.style.setProperty("--cut", `${clamp(place, 0, sheet.clientWidth)}px`);
      slider.setAttribute("aria-valuetext", `${slider.value} %: ${name("left")}, then ${name("right")}`);
    };
    const name = (side) => sides[side].selectedOptions[0].textContent.trim();
    const choose = () => {
      for (const side of ["left", "right"]) {
        images.forEach((image, index) => image.classList.toggle(side, index === sides[side].selectedIndex));
        find(`.tag-${side}`).textContent = name(side).split(": ")[0];
      }
      cut();
    };
    const zoom = () => {
      const wanted = find(".zoom input:checked").value;
      const x = (view.scrollLeft + view.clientWidth / 2) / view.scrollWidth;
      const y = (view.scrollTop + view.clientHeight / 2) / view.scrollHeight;
      stage.classList.toggle("zoomed", wanted !== "fit");
      stage.classList.toggle("enlarged", Number(wanted) > 1);
      if (wanted !== "fit") {
        const width = (images[0].width0 * Number(wanted)) / window.devicePixelRatio;
        stage.style.setProperty("--zoomed", `${width}px`);
      }
      view.scrollLeft = x * view.scrollWidth - view.clientWidth / 2;
      view.scrollTop = y * view.scrollHeight - view.clientHeight / 2;
      cut();
    };
    images[0].width0 = Number(images[0].getAttribute("width"));

    const moveTo = (event) => {
      const box = view.getBoundingClientRect();
      slider.value = clamp((100 * (event.clientX - box.left)) / view.clientWidth, 0, 100);
      cut();
    };
    const drag = (element, start, move) => {
      element.addEventListener("pointerdown", (event) => {
        if (event.button !== 0 || !start(event)) return;
        element.setPointerCapture(event.pointerId);
        const end = new AbortController();
        const stop = () => { end.abort(); view.classList.remove("panned"); };
        element.addEventListener("pointermove", move, { signal: end.signal });
        element.addEventListener("pointerup", stop, { signal: end.signal });
        element.addEventListener("pointercancel", stop, { signal: end.signal });
      });
    };
    drag(find(".cut"), () => true, moveTo);
    drag(view, (event) => {
      const zoomed = stage.classList.contains("zoomed");
      if (zoomed && event.pointerType !== "mouse") return false;  // which scrolls by itself
      if (zoomed) view.classList.add("panned");
      else moveTo(event);
      return true;
    }, (event) => {
      if (stage.classList.contains("zoomed")) view.scrollBy(-event.movementX, -event.movementY);
      else moveTo(event);
    });

    slider.addEventListener("input", cut);
    view.addEventListener("scroll", cut, { passive: true });
    sides.left.addEventListener("change", choose);
    sides.right.addEventListener("change", choose);
    find(".zoom").addEventListener("change", zoom);
    new ResizeObserver(cut).observe(view);
    choose();
  }
})();
