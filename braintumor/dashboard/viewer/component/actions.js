// Everything that can be done to the view: one list, for the toolbar, the keys and the help alike.

const TOOLS = { cross: "Look", window: "Window", zoom: "Zoom", pan: "Pan", ruler: "Ruler" };
const OVERLAYS = ["map", "heat", "none"];

// Windows as shares of the gray values of the head; MRI has no unit that one could be named in.
const WINDOWS = [
  ["All gray values", [0, 1]],
  ["Brain", [0.02, 0.98]],
  ["Bright tissue", [0.5, 0.998]],
  ["Dark tissue", [0.0, 0.6]],
];

export function firstState(scene) {
  return {
    cursor: [scene.own, ...scene.focus],
    window: [0, 255],
    views: [0, 1, 2].map(() => ({ zoom: 1, pan: [0, 0] })),
    tool: "cross",
    overlay: scene.hasMap ? "map" : scene.hasHeat ? "heat" : "none",
    opacity: 0.5,
    outlined: true,
    crosshair: scene.planes.length > 1,
    three: scene.planes.length > 1,
    ruler: null,
  };
}

export function actions(scene, state, tell) {
  const last = scene.shape[0] - 1;
  const go = (slice) => { state.cursor[0] = Math.min(Math.max(slice, 0), last); };
  const zoom = (factor) => {
    const view = state.views[0];
    view.zoom = Math.min(Math.max(view.zoom * factor, 0.5), 16);
  };
  const overlays = OVERLAYS.filter((kind) => kind === "none" || (kind === "map" ? scene.hasMap : scene.hasHeat));
  const list = [];
  const add = (keys, words, run, button) => list.push({ keys, words, run, ...button });

  if (last > 0) {
    add(["ArrowUp", "ArrowLeft"], "Previous slice (or the wheel)", () => go(state.cursor[0] - 1));
    add(["ArrowDown", "ArrowRight"], "Next slice (or the wheel)", () => go(state.cursor[0] + 1));
    add(["PageUp"], "Ten slices back", () => go(state.cursor[0] - 10));
    add(["PageDown"], "Ten slices on", () => go(state.cursor[0] + 10));
    add(["Home"], "First slice", () => go(0));
    add(["End"], "Last slice", () => go(last));
    add(["s"], "Most suspicious slice", () => go(scene.own), { label: "Suspicious" });
  }
  const toolKeys = { cross: "c", window: "w", zoom: "z", pan: "d", ruler: "l" };
  for (const [tool, label] of Object.entries(TOOLS)) {
    const does = {
      cross: "Drag to look: the other planes follow", window: "Drag for window (sideways) and level (up and down)",
      zoom: "Drag to zoom", pan: "Drag to move the picture", ruler: "Drag to measure",
    }[tool];
    add([toolKeys[tool]], does, () => { state.tool = tool; }, { label, isOn: () => state.tool === tool });
  }
  WINDOWS.forEach(([name, [low, high]], number) => {
    add([String(number + 1)], `Window: ${name.toLowerCase()}`, () => {
      state.window = number === 0 ? [0, 255] : scene.range(low, high);
    });
  });
  add(["+", "="], "Zoom in", () => zoom(1.25));
  add(["-"], "Zoom out", () => zoom(0.8));
  if (scene.hasMask) {
    add(["m"], "Outline on or off", () => { state.outlined = !state.outlined; },
      { label: "Outline", isOn: () => state.outlined });
  }
  if (overlays.length > 1) {
    add(["t"], "Next overlay: tumor map, heatmap of the type, none", () => {
      state.overlay = overlays[(overlays.indexOf(state.overlay) + 1) % overlays.length];
    });
    add(["o"], "Overlay and outline weaker", () => { state.opacity = Math.max(0, state.opacity - 0.1); });
    add(["O"], "Overlay and outline stronger", () => { state.opacity = Math.min(1, state.opacity + 0.1); });
  }
  if (scene.planes.length > 1) {
    add(["v"], "One plane or three", () => { state.three = !state.three; },
      { label: "Three planes", isOn: () => state.three });
    add(["x"], "Crosshair on or off", () => { state.crosshair = !state.crosshair; });
  }
  add(["r"], "Reset window, zoom, position and ruler", () => {
    Object.assign(state, { ...firstState(scene), cursor: state.cursor, overlay: state.overlay, tool: state.tool });
  }, { label: "Reset" });
  if (scene.steps) {
    add(["n"], "Next case", () => tell({ step: 1 }));
    add(["p"], "Previous case", () => tell({ step: -1 }));
  }
  return { list, overlays, windows: WINDOWS };
}
