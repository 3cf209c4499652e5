// What is shown: the stack of slices, and what the model says of each place of it.

import { unpacked } from "./first.js";

export class Scene {
  constructor(args) { this.take(args); }

  // `layout` is what scene.py writes; the others are its bytes, or those of the first picture.
  take({ layout, volume, maps, mask, heat, palette }) {
    Object.assign(this, layout, layout.isWhole ? { volume, maps, mask } : unpacked(layout, { volume, maps, mask }));
    Object.assign(this, { palette, heatMap: heat, histogram: null });
    this.sizes = this.spacing ?? [1, 1, 1];
    this.paths = new Map();
  }

  get hasMask() { return this.mask.length > 0; }
  get hasMap() { return this.maps.length > 0; }
  get hasHeat() { return this.heatMap.length > 0; }

  // Index of a voxel, given as [slice, row, column].
  at([z, y, x]) { return (z * this.shape[1] + y) * this.shape[2] + x; }

  isMasked(index) { return (this.mask[index >> 3] >> (7 - (index & 7))) & 1; }

  // The map of an overlay at a voxel, from 0 to 255; null where there is none.
  overlayAt(kind, [z, y, x]) {
    const grid = this.grid(kind, z);
    if (!grid) return null;
    const [top, left, side] = this.squares[z];
    const row = Math.floor(((y + 0.5 - top) / side) * grid.height);
    const column = Math.floor(((x + 0.5 - left) / side) * grid.width);
    if (row < 0 || column < 0 || row >= grid.height || column >= grid.width) return 0;
    return grid.values[row * grid.width + column];
  }

  // The cells of an overlay on one slice: {values, height, width}, or null.
  grid(kind, z) {
    if (kind === "map" && this.hasMap) {
      const [height, width] = this.mapShape;
      return { values: this.maps.subarray(z * height * width, (z + 1) * height * width), height, width };
    }
    if (kind === "heat" && this.hasHeat && z === this.own) {
      const side = Math.round(Math.sqrt(this.heatMap.length));
      return { values: this.heatMap, height: side, width: side };
    }
    return null;
  }

  // Gray values from `low` to `high` that hold this share of all that is not background.
  range(low, high) {
    if (!this.histogram) {
      this.histogram = new Uint32Array(256);
      for (let index = 0; index < this.volume.length; index += 7) this.histogram[this.volume[index]] += 1;
    }
    const first = 8; // Below it lies the air around the head.
    const total = this.histogram.slice(first).reduce((sum, count) => sum + count, 0);
    const below = (share) => {
      let seen = 0;
      for (let value = first; value < 256; value += 1) {
        seen += this.histogram[value];
        if (seen >= share * total) return value;
      }
      return 255;
    };
    return [below(low), Math.max(below(high), below(low) + 1)];
  }

  // The picture of a plane through the cursor: calls `put(offset, voxel index, voxel)` for each of its pixels.
  eachPixel(plane, cursor, put) {
    const voxel = [...cursor];
    const [rows, columns] = [this.shape[plane.down], this.shape[plane.across]];
    let offset = 0;
    for (let row = 0; row < rows; row += 1) {
      voxel[plane.down] = plane.flipDown ? rows - 1 - row : row;
      for (let column = 0; column < columns; column += 1) {
        voxel[plane.across] = plane.flipAcross ? columns - 1 - column : column;
        put(offset, this.at(voxel), voxel);
        offset += 1;
      }
    }
  }

  // The outline of the mask on a plane in its pixels, as a Path2D; made once for each place.
  outline(plane, cursor) {
    const name = `${plane.axis}-${cursor[plane.axis]}`;
    if (!this.paths.has(name)) {
      const [rows, columns] = [this.shape[plane.down], this.shape[plane.across]];
      const bits = new Uint8Array(rows * columns);
      this.eachPixel(plane, cursor, (offset, index) => { bits[offset] = this.isMasked(index); });
      this.paths.set(name, marchingSquares(bits, rows, columns));
    }
    return this.paths.get(name);
  }
}

// Lorensen and Cline's table in the plane: which of the sides top, right, bottom, left each line joins.
const JOINED = [
  "", "LB", "BR", "LR", "TR", "LTBR", "TB", "LT", "LT", "TB", "TRLB", "TR", "LR", "BR", "LB", "",
];
const MIDDLES = { T: [0.5, 0], R: [1, 0.5], B: [0.5, 1], L: [0, 0.5] };

function marchingSquares(bits, rows, columns) {
  const path = new Path2D();
  const bit = (row, column) => (row < 0 || column < 0 || row >= rows || column >= columns ? 0 : bits[row * columns + column]);
  for (let row = -1; row < rows; row += 1) {
    for (let column = -1; column < columns; column += 1) {
      const corners =
        8 * bit(row, column) + 4 * bit(row, column + 1) + 2 * bit(row + 1, column + 1) + bit(row + 1, column);
      const joined = JOINED[corners];
      for (let side = 0; side < joined.length; side += 2) {
        const [from, to] = [MIDDLES[joined[side]], MIDDLES[joined[side + 1]]];
        path.moveTo(column + 0.5 + from[0], row + 0.5 + from[1]);
        path.lineTo(column + 0.5 + to[0], row + 0.5 + to[1]);
      }
    }
  }
  return path;
}
