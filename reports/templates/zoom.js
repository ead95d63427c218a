"use strict";
// Pictures: buttons, wheel with Ctrl, double click, two fingers; one finger moves when zoomed, else scrolls the page.
for (const viewer of document.querySelectorAll(".viewer")) {
  const inner = viewer.querySelector(".inner");
  const pointers = new Map();
  let scale = 1, x = 0, y = 0, distance = 0;

  function show() {
    const width = viewer.clientWidth, height = viewer.clientHeight;
    x = Math.min(0, Math.max(width - width * scale, x));
    y = Math.min(0, Math.max(height - height * scale, y));
    inner.style.transform = scale === 1 ? "" : `translate(${x}px, ${y}px) scale(${scale})`;
    viewer.style.touchAction = scale === 1 ? "pan-y" : "none";
    viewer.style.cursor = scale === 1 ? "zoom-in" : "grab";
    for (const label of inner.querySelectorAll(".macro span")) {
      label.style.transform = `scale(${1 / scale})`;
    }
  }

  function zoom(factor, clientX, clientY) {
    const box = viewer.getBoundingClientRect();
    const px = clientX - box.left, py = clientY - box.top;
    const next = Math.min(16, Math.max(1, scale * factor));
    x = px - (px - x) * next / scale;
    y = py - (py - y) * next / scale;
    scale = next;
    show();
  }

  function middle(factor) {
    const box = viewer.getBoundingClientRect();
    zoom(factor, box.left + box.width / 2, box.top + box.height / 2);
  }

  viewer.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && scale === 1) return;
    event.preventDefault();
    zoom(event.deltaY < 0 ? 1.25 : 0.8, event.clientX, event.clientY);
  }, { passive: false });
  viewer.addEventListener("dblclick", (event) => zoom(2, event.clientX, event.clientY));
  viewer.addEventListener("pointerdown", (event) => {
    pointers.set(event.pointerId, event);
    distance = 0;
    if (scale > 1) viewer.setPointerCapture(event.pointerId);
  });
  viewer.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    if (!before) return;
    pointers.set(event.pointerId, event);
    if (pointers.size === 1 && scale > 1) {
      x += event.clientX - before.clientX;
      y += event.clientY - before.clientY;
      show();
    } else if (pointers.size === 2) {
      const [a, b] = [...pointers.values()];
      const now = Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY);
      if (distance) zoom(now / distance, (a.clientX + b.clientX) / 2, (a.clientY + b.clientY) / 2);
      distance = now;
    }
  });
  for (const end of ["pointerup", "pointercancel", "pointerleave"]) {
    viewer.addEventListener(end, (event) => pointers.delete(event.pointerId));
  }
  viewer.querySelector("img").draggable = false;
  const tools = viewer.parentElement.querySelector(".tools");
  tools.querySelector("[data-zoom=in]").addEventListener("click", () => middle(1.6));
  tools.querySelector("[data-zoom=out]").addEventListener("click", () => middle(1 / 1.6));
  tools.querySelector("[data-zoom=all]").addEventListener("click", () => middle(1 / scale));
  show();
}
