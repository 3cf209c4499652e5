// A Streamlit component: gets a scan from scene.py, shows it, and says when another case is asked for.

import { actions, firstState } from "./actions.js";
import { paint, voxelAt } from "./paint.js";
import { Panel } from "./panel.js";
import { Scene } from "./scene.js";

const PHONE = 640; // Pixels of the page's width up to which the viewer takes more height: its tools take more rows.
const PHONE_HEIGHT = 640;
const planes = document.getElementById("planes");
let shown = null; // {key, scene, state, acts, panel, canvases, asked}
let isWaiting = false;

function send(type, content = {}) {
  window.parent.postMessage({ isStreamlitMessage: true, type: `streamlit:${type}`, ...content }, "*");
}

// What is told carries its time, so that the same wish twice is two wishes, and the scan that is wanted whole.
function tell(wish) {
  const whole = shown.asked ? shown.key : "";
  send("setComponentValue", { value: { ...wish, whole, at: Date.now() }, dataType: "json" });
}

window.addEventListener("message", ({ source, data }) => {
  if (source !== window.parent || data.type !== "streamlit:render") return;
  const { args } = data;
  send("setFrameHeight", { height: window.parent.innerWidth < PHONE ? Math.max(args.height, PHONE_HEIGHT) : args.height });
  if (shown?.key !== args.layout.key) show(args);
  else if (args.layout.isWhole && !shown.scene.isWhole) {
    shown.scene.take(args);
    redraw();
  }
});

function show(args) {
  const scene = new Scene(args);
  // Who steps from case to case keeps the tool in hand.
  const state = { ...firstState(scene), ...(shown ? { tool: shown.state.tool, opacity: shown.state.opacity } : {}) };
  shown = { key: args.layout.key, scene, state };
  shown.acts = actions(scene, state, tell);
  document.getElementById("viewer").hidden = false;
  planes.replaceChildren();
  shown.canvases = scene.planes.map((plane) => {
    const canvas = document.createElement("canvas");
    canvas.setAttribute("aria-hidden", "true");
    listen(canvas, plane);
    planes.append(canvas);
    return { canvas, plane };
  });
  shown.panel = new Panel(scene, state, shown.acts, redraw);
  redraw();
}

function redraw() {
  if (isWaiting || !shown) return;
  isWaiting = true;
  requestAnimationFrame(() => {
    isWaiting = false;
    const { scene, state, canvases, panel } = shown;
    planes.classList.toggle("three", state.three);
    for (const { canvas, plane } of canvases) {
      canvas.hidden = plane.axis !== 0 && !state.three;
      canvas.style.display = canvas.hidden ? "none" : "";
      if (canvas.hidden) continue;
      const ratio = window.devicePixelRatio;
      const [width, height] = [canvas.clientWidth * ratio, canvas.clientHeight * ratio].map(Math.round);
      if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
      if (width && height) paint(scene, plane, canvas, state);
    }
    panel.update();
    performance.mark(scene.isWhole ? "whole" : "first");
    performance.mark("painted");
    if (!scene.isWhole && !shown.asked) {
      shown.asked = true;
      tell({});
    }
  });
}

function listen(canvas, plane) {
  let drag = null;
  const point = (event) => {
    const box = canvas.getBoundingClientRect();
    return [(event.clientX - box.left) * window.devicePixelRatio, (event.clientY - box.top) * window.devicePixelRatio];
  };
  const voxel = (event) => {
    const { scene, state } = shown;
    return voxelAt(scene, plane, canvas, state.views[plane.axis], state.cursor, point(event));
  };
  canvas.addEventListener("pointerdown", (event) => {
    const { state } = shown;
    const tool = { 1: "pan", 2: "window" }[event.button] ?? state.tool;
    drag = { tool, from: point(event), window: [...state.window], view: structuredClone(state.views[plane.axis]) };
    canvas.setPointerCapture(event.pointerId);
    planes.focus({ preventScroll: true });
    event.preventDefault();
    // Where slices lie apart by an unknown distance, only they themselves can be measured.
    if (tool === "ruler" && (plane.axis === 0 || shown.scene.spacing)) {
      state.ruler = { axis: plane.axis, from: voxel(event), to: voxel(event) };
    }
    if (tool === "cross") state.cursor = voxel(event);
    redraw();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!drag) return;
    const { state } = shown;
    const moved = point(event).map((value, axis) => value - drag.from[axis]);
    const view = state.views[plane.axis];
    if (drag.tool === "cross") state.cursor = voxel(event);
    if (drag.tool === "ruler" && state.ruler?.axis === plane.axis) state.ruler.to = voxel(event);
    if (drag.tool === "pan") view.pan = [drag.view.pan[0] + moved[0] / canvas.width, drag.view.pan[1] + moved[1] / canvas.height];
    if (drag.tool === "zoom") view.zoom = Math.min(Math.max(drag.view.zoom * 2 ** (-moved[1] / (canvas.height / 3)), 0.5), 16);
    if (drag.tool === "window") setWindow(state, drag.window, (512 * moved[0]) / canvas.width, (512 * moved[1]) / canvas.height);
    redraw();
  });
  for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, () => { drag = null; });
  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    const { scene, state } = shown;
    const view = state.views[plane.axis];
    if (event.ctrlKey) view.zoom = Math.min(Math.max(view.zoom * (event.deltaY < 0 ? 1.15 : 0.87), 0.5), 16);
    else {
      const next = state.cursor[plane.axis] + Math.sign(event.deltaY);
      state.cursor[plane.axis] = Math.min(Math.max(next, 0), scene.shape[plane.axis] - 1);
    }
    redraw();
  }, { passive: false });
}

function setWindow(state, [low, high], wider, brighter) {
  const width = Math.max(high - low + wider, 2);
  const level = (low + high) / 2 + brighter;
  state.window = [level - width / 2, level + width / 2];
}

document.addEventListener("keydown", (event) => {
  if (!shown || event.ctrlKey || event.altKey || event.metaKey) return;
  if (document.getElementById("keys").open) return;
  const { target, key } = event;
  // A slider and a list have their own arrows; letters mean the same wherever the focus is.
  if (target.matches("input, select") && !/^[a-z?+=-]$/i.test(key)) return;
  if (target.matches("select") && key !== "?") return;
  if (key === "?") {
    shown.panel.help();
    event.preventDefault();
    return;
  }
  const act = shown.acts.list.find(({ keys }) => keys.includes(key));
  if (!act) return;
  act.run();
  event.preventDefault();
  redraw();
});

new ResizeObserver(redraw).observe(planes);
send("componentReady", { apiVersion: 1 });
