// Pointer, wheel and touch on the canvas, turned into commands.
//   left: inside; right or with Shift: outside; with Alt: also on an accepted object; drag: box
//   with brush or eraser in the hand: left paints or erases, right does the other of the two
//   middle button, or Space and drag: pan; wheel: zoom; touch: tap, long press, drag, two fingers

const DRAG_PX = 4;
const TOUCH_DRAG_PX = 10;
const LONG_PRESS_MS = 500;

export function listenToPointers(stage, commands, preview) {
  const { canvas, view } = stage;
  const touches = new Map();
  let press = null;
  let isSpaceDown = false;

  addEventListener("keydown", (event) => { if (event.code === "Space") isSpaceDown = true; });
  addEventListener("keyup", (event) => { if (event.code === "Space") isSpaceDown = false; });
  addEventListener("blur", () => { isSpaceDown = false; });
  canvas.addEventListener("contextmenu", (event) => event.preventDefault());

  const place = (event) => {
    const { left, top } = canvas.getBoundingClientRect();
    return [event.clientX - left, event.clientY - top];
  };

  canvas.addEventListener("pointerdown", (event) => {
    if (!commands.isOpen()) return;
    canvas.focus({ preventScroll: true });
    canvas.setPointerCapture(event.pointerId);
    stage.isTouched = event.pointerType === "touch";
    const at = place(event);
    if (event.pointerType === "touch") {
      touches.set(event.pointerId, at);
      if (touches.size === 2) return pinch();
    }
    const isPan = event.button === 1 || (event.button === 0 && isSpaceDown);
    if (isPan) event.preventDefault();
    const { brush } = stage;
    if (brush.isOn && !isPan) {
      const isOther = event.button !== 0 || event.shiftKey; // a pen's eraser is another button, too
      press = { isStroke: true };
      preview.at(null);
      return brush.begin(...view.toImage(...at), isOther);
    }
    press = { start: at, last: at, button: event.button, isPan, isTouch: event.pointerType === "touch", isDrag: false };
    press.inside = event.button === 0 && !event.shiftKey;
    press.through = event.altKey;
    if (press.isTouch) press.timer = setTimeout(longPress, LONG_PRESS_MS);
    preview.at(null);
  });

  canvas.addEventListener("pointermove", (event) => {
    const at = place(event);
    if (touches.has(event.pointerId)) touches.set(event.pointerId, at);
    if (press && press.pinch) return pinched();
    if (press && press.isStroke) {
      const all = event.getCoalescedEvents?.() ?? [];
      for (const one of all.length ? all : [event]) stage.brush.move(...view.toImage(...place(one)));
      return;
    }
    if (!press) return hover(at);
    const isFar = Math.hypot(at[0] - press.start[0], at[1] - press.start[1]) > (press.isTouch ? TOUCH_DRAG_PX : DRAG_PX);
    if (isFar && !press.isDrag) {
      press.isDrag = true;
      clearTimeout(press.timer);
    }
    if (press.isDrag) drag(at);
    press.last = at;
  });

  const end = (event) => {
    touches.delete(event.pointerId);
    if (!press) return;
    if (press.isStroke) {
      press = null;
      if (event.pointerType === "touch") stage.brush.at = null;
      return stage.brush.end(event.type === "pointercancel");
    }
    const { isDrag, isPan, pinch: wasPinch, button } = press;
    clearTimeout(press.timer);
    const ended = press;
    press = null;
    canvas.classList.remove("panning");
    const box = stage.box;
    stage.box = null;
    stage.changed();
    if (event.type === "pointercancel" || wasPinch || ended.isOver || button === 1) return;
    if (isDrag) {
      if (!isPan && button === 0 && box) commands.box(box);
    } else if (!isPan) {
      const [x, y] = view.toImage(...ended.start);
      if (view.isInside(x, y)) commands.click(x, y, ended);
      else commands.beside();
    }
  };
  canvas.addEventListener("pointerup", end);
  canvas.addEventListener("pointercancel", end);
  canvas.addEventListener("pointerleave", () => { if (!press) hover(null); });

  function drag(at) {
    if (press.isPan || press.button !== 0) {
      canvas.classList.add("panning");
      view.pan(at[0] - press.last[0], at[1] - press.last[1]);
      stage.moving();
    } else {
      stage.box = [...view.clamped(...press.start), ...view.clamped(...at)];
      stage.changed();
    }
  }

  function longPress() {
    press.inside = false;
    press.isOver = true;
    const [x, y] = view.toImage(...press.start);
    if (view.isInside(x, y)) commands.click(x, y, press);
  }

  function pinch() {
    clearTimeout(press && press.timer);
    stage.brush.end(true);
    stage.box = null;
    press = { pinch: spread(), timer: 0 };
  }

  function spread() {
    const [[x0, y0], [x1, y1]] = [...touches.values()];
    return { x: (x0 + x1) / 2, y: (y0 + y1) / 2, distance: Math.max(Math.hypot(x1 - x0, y1 - y0), 1) };
  }

  function pinched() {
    if (touches.size < 2) return;
    const before = press.pinch;
    const now = spread();
    view.pan(now.x - before.x, now.y - before.y);
    view.zoomAt(now.x, now.y, now.distance / before.distance);
    press.pinch = now;
    stage.moving();
  }

  function hover(at) {
    const point = at && view.toImage(...at);
    if (stage.brush.isOn) {
      preview.at(null);
      return stage.brush.hover(point);
    }
    const isInside = point && view.isInside(...point);
    const { draft } = commands.desk;
    const proposal = isInside && stage.proposals.at(...point);
    stage.proposals.hover(proposal || null);
    const hovered = isInside && !draft && !proposal ? stage.objectAt(...point) : null;
    if (hovered !== stage.hovered) {
      stage.hovered = hovered;
      stage.changed();
    }
    canvas.classList.toggle("over", Boolean(hovered || proposal));
    preview.at(isInside && !draft && !hovered && !proposal && !stage.options.hidden ? point : null);
  }

  canvas.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      if (!commands.isOpen()) return;
      const lines = event.deltaMode === 1 ? 20 : 1;
      const amount = Math.max(-240, Math.min(240, event.deltaY * lines)) * (event.ctrlKey ? 4 : 1);
      view.zoomAt(...place(event), Math.exp(-amount / 500));
      preview.at(null);
      stage.moving();
    },
    { passive: false },
  );
}
