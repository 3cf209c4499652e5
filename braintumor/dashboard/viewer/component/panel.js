// Toolbar, slice control, words and help around the planes.

import { rulerWords } from "./paint.js";

const NAMES = { map: "Tumor map", none: "No overlay" };
const byId = (id) => document.getElementById(id);

export class Panel {
  constructor(scene, state, acts, redraw) {
    Object.assign(this, { scene, state, acts, redraw });
    this.buildTools();
    this.buildSlices();
    this.buildHelp();
  }

  buildTools() {
    const bar = byId("tools");
    bar.replaceChildren();
    this.buttons = [];
    for (const act of this.acts.list.filter((one) => one.label)) {
      const button = element("button", { type: "button", title: `${act.words} (${act.keys[0]})` }, act.label);
      button.addEventListener("click", () => { act.run(); this.redraw(); });
      this.buttons.push([button, act]);
      bar.append(button);
    }
    bar.append(this.select("Window", this.acts.windows.map(([name], number) => [String(number + 1), name]), (key) => {
      this.acts.list.find((act) => act.keys.includes(key)).run();
    }));
    if (this.acts.overlays.length > 1) {
      const titles = { ...NAMES, heat: this.scene.heatTitle };
      const kinds = this.acts.overlays.map((kind) => [kind, titles[kind]]);
      const chooser = this.select("Overlay", kinds, (kind) => { this.state.overlay = kind; });
      this.overlay = chooser;
      this.opacity = element("input", { type: "range", min: 0, max: 100, step: 5, "aria-label": "Opacity of overlay and outline" });
      this.opacity.addEventListener("input", () => { this.state.opacity = this.opacity.value / 100; this.redraw(); });
      const opacity = element("label", {}, "Opacity");
      opacity.append(this.opacity);
      bar.append(chooser, opacity);
    }
    const help = element("button", { type: "button", title: "Mouse and keys (?)", "aria-label": "Mouse and keys" }, "?");
    help.addEventListener("click", () => this.help());
    bar.append(help);
  }

  select(name, options, choose) {
    const list = element("select", { "aria-label": name, title: name });
    list.append(...options.map(([value, title]) => element("option", { value }, title)));
    list.addEventListener("change", () => { choose(list.value); this.redraw(); });
    return list;
  }

  buildSlices() {
    const many = this.scene.shape[0] > 1;
    byId("slices").hidden = !many;
    this.slider = byId("slice");
    this.slider.max = this.scene.shape[0] - 1;
    this.slider.oninput = () => { this.state.cursor[0] = Number(this.slider.value); this.redraw(); };
  }

  buildHelp() {
    const rows = this.acts.list.map(({ keys, words }) => {
      const row = element("tr");
      row.append(element("th", { scope: "row" }, keys.join(", ").replaceAll("Arrow", "")), element("td", {}, words));
      return row;
    });
    const more = element("tr");
    more.append(element("th", { scope: "row" }, "Ctrl + wheel"), element("td", {}, "Zoom"));
    byId("keys").querySelector("tbody").replaceChildren(...rows, more);
    byId("keys").querySelector("button").onclick = () => byId("keys").close();
  }

  help() { byId("keys").showModal(); }

  // Bring what stands around the planes up to date.
  update() {
    const { scene, state } = this;
    for (const [button, act] of this.buttons) {
      if (act.isOn) button.setAttribute("aria-pressed", String(act.isOn()));
    }
    if (this.overlay) {
      this.overlay.value = state.overlay;
      this.opacity.value = Math.round(100 * state.opacity);
    }
    const slice = state.cursor[0];
    if (scene.shape[0] > 1) {
      this.slider.value = slice;
      this.slider.setAttribute("aria-valuetext", `Slice ${scene.numbers[slice] + 1} of ${scene.count}`);
      byId("curve").hidden = !scene.p.length;
      if (scene.p.length) this.paintCurve();
    }
    byId("said").textContent = [scene.words[slice], this.loadingWords(), this.overlayWords(), this.rulerWords()].join(" ");
    byId("planes").setAttribute("aria-label", `${scene.title}. ${scene.words[slice]} Press ? for the keys.`);
  }

  loadingWords() { return this.scene.isWhole ? "" : "The other slices are loading and still coarse."; }

  rulerWords() { return this.state.ruler ? `Ruler: ${rulerWords(this.scene, this.state.ruler)}.` : ""; }

  overlayWords() {
    const { scene, state } = this;
    if (state.overlay === "none") return "";
    const value = scene.overlayAt(state.overlay, state.cursor);
    if (state.overlay === "heat") {
      return value === null ? `${scene.heatTitle} is of slice ${scene.numbers[scene.own] + 1} only.` : scene.heatWords;
    }
    return value === null || !state.crosshair ? "" : `Tumor map at the crosshair: ${Math.round(value / 2.55)}%.`;
  }

  // P(tumor) of each slice, the line it is held against, and the slice that is shown.
  paintCurve() {
    const canvas = byId("curve");
    const ratio = window.devicePixelRatio;
    const [width, height] = [canvas.clientWidth * ratio, canvas.clientHeight * ratio];
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const context = canvas.getContext("2d");
    const thumb = 8 * ratio; // The slider's knob keeps half of its width away from either end.
    const last = this.scene.p.length - 1;
    const x = (index) => thumb + ((width - 2 * thumb) * index) / last;
    const y = (share) => 3 * ratio + (height - 6 * ratio) * (1 - share);
    context.clearRect(0, 0, width, height);
    const [from, to] = this.scene.restsOn;
    if (from !== undefined) {
      context.fillStyle = "rgba(124, 196, 245, 0.18)";
      context.fillRect(x(from) - ratio, 0, x(to) - x(from) + 2 * ratio, height);
    }
    context.setLineDash([4 * ratio, 4 * ratio]);
    stroke(context, "#a9b8c6", ratio, [[0, y(this.scene.line)], [width, y(this.scene.line)]]);
    context.setLineDash([]);
    stroke(context, "#e6edf3", 1.5 * ratio, this.scene.p.map((share, index) => [x(index), y(share)]));
    const shown = this.state.cursor[0];
    stroke(context, "#f6c945", 2 * ratio, [[x(shown), 0], [x(shown), height]]);
    context.fillStyle = "#f6c945";
    context.beginPath();
    context.arc(x(shown), y(this.scene.p[shown]), 4 * ratio, 0, 2 * Math.PI);
    context.fill();
  }
}

function stroke(context, color, width, points) {
  context.strokeStyle = color;
  context.lineWidth = width;
  context.beginPath();
  points.forEach(([x, y], index) => (index ? context.lineTo(x, y) : context.moveTo(x, y)));
  context.stroke();
}

function element(name, attributes = {}, text = "") {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  return made;
}
