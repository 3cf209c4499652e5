// One plane on its canvas: picture, overlay, outline, crosshair, sides and ruler.

const LINE = "rgb(86, 180, 233)"; // Sky blue, as on the plain pictures: no gray, and no color of the overlay.
const CASING = "rgb(0, 0, 0)";
const scratch = document.createElement("canvas");

// Where a plane lies on its canvas, in device pixels: `x`, `y` of its corner and the size of one of its pixels.
export function place(scene, plane, canvas, view) {
  const [high, wide] = [scene.sizes[plane.down], scene.sizes[plane.across]];
  const [rows, columns] = [scene.shape[plane.down], scene.shape[plane.across]];
  const scale = Math.min(canvas.width / (columns * wide), canvas.height / (rows * high)) * view.zoom;
  const [pixelWidth, pixelHeight] = [scale * wide, scale * high];
  return {
    pixelWidth,
    pixelHeight,
    x: (canvas.width - columns * pixelWidth) / 2 + view.pan[0] * canvas.width,
    y: (canvas.height - rows * pixelHeight) / 2 + view.pan[1] * canvas.height,
    width: columns * pixelWidth,
    height: rows * pixelHeight,
  };
}

// The voxel under a point of a canvas in device pixels, held within the scan.
export function voxelAt(scene, plane, canvas, view, cursor, point) {
  const spot = place(scene, plane, canvas, view);
  const held = (value, axis) => Math.min(Math.max(Math.floor(value), 0), scene.shape[axis] - 1);
  const row = held((point[1] - spot.y) / spot.pixelHeight, plane.down);
  const column = held((point[0] - spot.x) / spot.pixelWidth, plane.across);
  const voxel = [...cursor];
  voxel[plane.down] = plane.flipDown ? scene.shape[plane.down] - 1 - row : row;
  voxel[plane.across] = plane.flipAcross ? scene.shape[plane.across] - 1 - column : column;
  return voxel;
}

export function paint(scene, plane, canvas, state) {
  const context = canvas.getContext("2d");
  const view = state.views[plane.axis];
  const spot = place(scene, plane, canvas, view);
  context.fillStyle = "#000";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingEnabled = spot.pixelWidth < 8;
  context.imageSmoothingQuality = "high";
  paintGray(scene, plane, state, context, spot);
  context.save();
  context.beginPath();
  context.rect(spot.x, spot.y, spot.width, spot.height);
  context.clip();
  if (state.overlay !== "none") paintOverlay(scene, plane, state, context, spot);
  if (state.outlined && scene.hasMask) paintOutline(scene, plane, state, context, spot);
  context.restore();
  if (state.crosshair && scene.planes.length > 1) paintCrosshair(scene, plane, state, context, spot, canvas);
  paintWords(plane, context, canvas);
  paintRuler(scene, plane, state, context, spot);
}

function paintGray(scene, plane, state, context, spot) {
  const [low, high] = state.window;
  const shades = new Uint32Array(256);
  for (let value = 0; value < 256; value += 1) {
    const shade = Math.round((255 * Math.min(Math.max(value - low, 0), high - low)) / (high - low));
    shades[value] = 0xff000000 | (shade << 16) | (shade << 8) | shade;
  }
  drawPixels(scene, plane, context, spot, (pixels) => {
    scene.eachPixel(plane, state.cursor, (offset, index) => { pixels[offset] = shades[scene.volume[index]]; });
  });
}

function paintOverlay(scene, plane, state, context, spot) {
  const colors = new Uint32Array(256);
  for (let value = 0; value < 256; value += 1) {
    const [red, green, blue] = scene.palette.subarray(3 * value, 3 * value + 3);
    const opacity = Math.round(255 * state.opacity * Math.min(1, (1.5 * value) / 255));
    colors[value] = ((opacity << 24) | (blue << 16) | (green << 8) | red) >>> 0;
  }
  const grid = plane.axis === 0 ? scene.grid(state.overlay, state.cursor[0]) : null;
  if (grid) {
    // Its cells are larger than pixels: drawn as they are, the canvas itself makes the steps between them smooth.
    const [top, left, side] = scene.squares[state.cursor[0]];
    const square = {
      x: spot.x + left * spot.pixelWidth, y: spot.y + top * spot.pixelHeight,
      width: side * spot.pixelWidth, height: side * spot.pixelHeight,
    };
    context.imageSmoothingEnabled = true;
    draw(context, square, grid.height, grid.width, (pixels) => {
      grid.values.forEach((value, offset) => { pixels[offset] = colors[value]; });
    });
  } else if (plane.axis !== 0) {
    drawPixels(scene, plane, context, spot, (pixels) => {
      scene.eachPixel(plane, state.cursor, (offset, index, voxel) => {
        pixels[offset] = colors[scene.overlayAt(state.overlay, voxel) ?? 0];
      });
    });
  }
}

function drawPixels(scene, plane, context, spot, fill) {
  draw(context, spot, scene.shape[plane.down], scene.shape[plane.across], fill);
}

function draw(context, spot, rows, columns, fill) {
  scratch.width = columns;
  scratch.height = rows;
  const small = scratch.getContext("2d", { willReadFrequently: true });
  const picture = small.createImageData(columns, rows);
  fill(new Uint32Array(picture.data.buffer));
  small.putImageData(picture, 0, 0);
  context.drawImage(scratch, spot.x, spot.y, spot.width, spot.height);
}

function paintOutline(scene, plane, state, context, spot) {
  const path = new Path2D();
  const onCanvas = new DOMMatrix([spot.pixelWidth, 0, 0, spot.pixelHeight, spot.x, spot.y]);
  path.addPath(scene.outline(plane, state.cursor), onCanvas);
  context.lineCap = "round";
  // Whole at half of the slider, where the map lies over the picture as much as not.
  context.globalAlpha = Math.min(1, 2 * state.opacity);
  const ratio = window.devicePixelRatio;
  for (const [color, width] of [[CASING, 4], [LINE, 2]]) {
    context.strokeStyle = color;
    context.lineWidth = width * ratio;
    context.stroke(path);
  }
  context.globalAlpha = 1;
}

// A voxel's middle on the canvas.
function middle(scene, plane, spot, voxel) {
  const step = (axis, flipped) => (flipped ? scene.shape[axis] - 1 - voxel[axis] : voxel[axis]) + 0.5;
  return [
    spot.x + step(plane.across, plane.flipAcross) * spot.pixelWidth,
    spot.y + step(plane.down, plane.flipDown) * spot.pixelHeight,
  ];
}

function paintCrosshair(scene, plane, state, context, spot, canvas) {
  const [x, y] = middle(scene, plane, spot, state.cursor);
  const gap = 10 * window.devicePixelRatio;
  context.strokeStyle = "rgba(124, 196, 245, 0.7)";
  context.lineWidth = window.devicePixelRatio;
  context.beginPath();
  for (const [from, to] of [[0, x - gap], [x + gap, canvas.width]]) {
    context.moveTo(from, y);
    context.lineTo(to, y);
  }
  for (const [from, to] of [[0, y - gap], [y + gap, canvas.height]]) {
    context.moveTo(x, from);
    context.lineTo(x, to);
  }
  context.stroke();
}

function paintWords(plane, context, canvas) {
  const size = 13 * window.devicePixelRatio;
  context.font = `600 ${size}px system-ui, sans-serif`;
  const { top, bottom, left, right } = plane.sides;
  write(context, plane.name, size * 0.5, size * 0.5, "left", "top");
  write(context, top, canvas.width / 2, size * 0.5, "center", "top");
  write(context, bottom, canvas.width / 2, canvas.height - size * 0.5, "center", "bottom");
  write(context, left, size * 0.5, canvas.height / 2, "left", "middle");
  write(context, right, canvas.width - size * 0.5, canvas.height / 2, "right", "middle");
}

function write(context, text, x, y, align, baseline) {
  if (!text) return;
  context.textAlign = align;
  context.textBaseline = baseline;
  context.lineWidth = 3 * window.devicePixelRatio;
  context.strokeStyle = CASING;
  context.strokeText(text, x, y);
  context.fillStyle = "#e6edf3";
  context.fillText(text, x, y);
}

function paintRuler(scene, plane, state, context, spot) {
  const { axis } = plane;
  if (state.ruler?.axis !== axis || state.ruler.from[axis] !== state.cursor[axis]) return;
  const [from, to] = [state.ruler.from, state.ruler.to].map((voxel) => middle(scene, plane, spot, voxel));
  context.setLineDash([]);
  for (const [color, width] of [[CASING, 4], ["#f6c945", 2]]) {
    context.strokeStyle = color;
    context.lineWidth = width * window.devicePixelRatio;
    context.beginPath();
    context.moveTo(...from);
    context.lineTo(...to);
    context.stroke();
  }
  context.font = `600 ${14 * window.devicePixelRatio}px system-ui, sans-serif`;
  write(context, rulerWords(scene, state.ruler), to[0], to[1] + 8 * window.devicePixelRatio, "center", "top");
}

// The length of a ruler: in millimeters where the scan tells its spacing, else in its own pixels.
export function rulerWords(scene, { from, to }) {
  const sizes = scene.spacing ?? [0, scene.pixelsPer, scene.pixelsPer];
  const length = Math.hypot(...sizes.map((size, axis) => (to[axis] - from[axis]) * size));
  return `${length.toFixed(scene.spacing ? 1 : 0)} ${scene.spacing ? "mm" : "pixels"}`;
}
