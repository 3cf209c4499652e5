// The first picture of a scan, which comes ahead of the rest: the planes through the focus, and every fourth voxel.

// Lay it out as the whole scan is: between the voxels that came stand their neighbors, and other slices have no overlay.
export function unpacked({ shape, own, focus, coarse, mapShape }, { volume, maps, mask }) {
  const [slices, rows, columns] = shape;
  const parts = split(volume, [rows * columns, slices * columns, slices * rows]);
  const filled = enlarged(parts.pop(), shape, coarse);
  const [plane, coronal, sagittal] = parts;
  for (let z = 0; z < slices; z += 1) {
    filled.set(coronal.subarray(z * columns, (z + 1) * columns), (z * rows + focus[0]) * columns);
    for (let y = 0; y < rows; y += 1) filled[(z * rows + y) * columns + focus[1]] = sagittal[z * rows + y];
  }
  filled.set(plane, own * rows * columns);
  return {
    volume: filled,
    maps: maps.length ? placed(maps, slices * mapShape[0] * mapShape[1], own * maps.length) : maps,
    mask: mask.length ? placedBits(mask, slices * rows * columns, own * rows * columns, rows * columns) : mask,
  };
}

// Parts of these sizes, and what is left behind them.
function split(bytes, sizes) {
  let from = 0;
  const parts = sizes.map((size) => bytes.subarray(from, (from += size)));
  return [...parts, bytes.subarray(from)];
}

function enlarged(few, [slices, rows, columns], coarse) {
  const [fewRows, fewColumns] = [rows, columns].map((size) => Math.ceil(size / coarse));
  const many = new Uint8Array(slices * rows * columns);
  for (let z = 0; z < slices; z += 1) {
    const slice = z * rows * columns;
    if (z % coarse) {
      many.copyWithin(slice, slice - rows * columns, slice);
      continue;
    }
    for (let y = 0; y < rows; y += 1) {
      const row = slice + y * columns;
      const from = ((z / coarse) * fewRows + Math.floor(y / coarse)) * fewColumns;
      for (let x = 0; x < columns; x += 1) many[row + x] = few[from + Math.floor(x / coarse)];
    }
  }
  return many;
}

function placed(bytes, size, at) {
  const all = new Uint8Array(size);
  all.set(bytes, at);
  return all;
}

function placedBits(bits, size, at, count) {
  const all = new Uint8Array(Math.ceil(size / 8));
  for (let index = 0; index < count; index += 1) {
    if ((bits[index >> 3] >> (7 - (index & 7))) & 1) all[(at + index) >> 3] |= 128 >> ((at + index) & 7);
  }
  return all;
}
