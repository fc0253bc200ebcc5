// Pictures: opened upright, shrunk before they are sent, measured, cropped, and cut into lines.

export const MAX_SIDE = 2000; // px of the longer side that is sent: small print stays readable, a photo has 0.3-0.8 MB
const JPEG_QUALITY = 0.9;
const LINE_HEIGHT = 128; // px of the picture of a line, at most: readers take 40 to 48
const LINE_MARGIN = 0.15; // of the height of a line, around it
const MEASURED_SIDE = 640; // px at which a picture is measured

/** A canvas with a picture, upright by its Exif data and no larger than MAX_SIDE. Rejects what is no picture. */
export async function openPicture(blob) {
  const bitmap = await createImageBitmap(blob, { imageOrientation: "from-image" });
  return shrink(bitmap);
}

export function shrink(source, side = MAX_SIDE) {
  const [width, height] = [source.videoWidth || source.width, source.videoHeight || source.height];
  const scale = Math.min(1, side / Math.max(width, height));
  const canvas = newCanvas(Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale)));
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  context.fillStyle = "white"; // transparent pictures are read on white
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(source, 0, 0, canvas.width, canvas.height);
  return canvas;
}

export function newCanvas(width, height) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, height];
  return canvas;
}

export function toBlob(canvas, type = "image/jpeg") {
  return new Promise((resolve) => canvas.toBlob(resolve, type, JPEG_QUALITY));
}

/** The part of a picture inside a box with shares 0..1 as sides. */
export function crop(canvas, { left, top, right, bottom }) {
  const [x, y] = [Math.round(left * canvas.width), Math.round(top * canvas.height)];
  const [w, h] = [Math.round(right * canvas.width) - x, Math.round(bottom * canvas.height) - y];
  const part = newCanvas(Math.max(1, w), Math.max(1, h));
  part.getContext("2d").drawImage(canvas, x, y, w, h, 0, 0, w, h);
  return part;
}

/** The grey values of a picture, Float32Array, with its width and height. */
export function greyValues(source, side) {
  const small = shrink(source, side);
  const { data, width, height } = small.getContext("2d").getImageData(0, 0, small.width, small.height);
  const values = new Float32Array(width * height);
  for (let i = 0; i < values.length; i++) {
    values[i] = 0.299 * data[4 * i] + 0.587 * data[4 * i + 1] + 0.114 * data[4 * i + 2];
  }
  return { values, width, height };
}

/** brightness: 0..255, of the brightest 5 %. sharpness: strongest edges, 0..1 of the range of grey values. */
export function measure(source) {
  const { values, width, height } = greyValues(source, MEASURED_SIDE);
  const sorted = values.slice().sort();
  const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
  const [dark, bright] = [at(0.02), at(0.98)];
  const steps = [];
  for (let y = 0; y < height; y++) {
    for (let x = 1; x < width; x++) steps.push(Math.abs(values[y * width + x] - values[y * width + x - 1]));
  }
  steps.sort((a, b) => a - b);
  const strongest = steps[Math.floor(0.995 * steps.length)] ?? 0;
  return { brightness: at(0.95), contrast: bright - dark, sharpness: strongest / Math.max(20, bright - dark) };
}

/** The corners of a line, clockwise from the start of its text. Outlines of curved lines have more points. */
export function corners(polygon) {
  const half = polygon.length / 2;
  return [polygon[0], polygon[half - 1], polygon[half], polygon[polygon.length - 1]];
}

const distance = ([x1, y1], [x2, y2]) => Math.hypot(x2 - x1, y2 - y1);

/** The direction, the width and the height of a line. */
export function frame(polygon) {
  const [a, b, c, d] = corners(polygon);
  return { x: a[0], y: a[1], angle: Math.atan2(b[1] - a[1], b[0] - a[0]), width: Math.max(distance(a, b), distance(d, c)),
    height: Math.max(distance(a, d), distance(b, c)) };
}

/** A level picture of one line, with a small margin, at most LINE_HEIGHT high. A curved line is drawn straight. */
export function cutLine(canvas, polygon) {
  const half = polygon.length / 2;
  const upper = polygon.slice(0, half), lower = polygon.slice(half).reverse();
  const middle = upper.map(([x, y], k) => [(x + lower[k][0]) / 2, (y + lower[k][1]) / 2]);
  const ends = [0]; // of the parts of the line, px from its beginning
  for (let k = 1; k < half; k++) ends.push(ends[k - 1] + distance(middle[k - 1], middle[k]));
  const heights = upper.map((p, k) => distance(p, lower[k])).sort((a, b) => a - b);
  const full = Math.max(1, heights[Math.floor(half / 2)]), length = Math.max(1, ends.at(-1));
  const scale = Math.min(1, LINE_HEIGHT / (full * (1 + 2 * LINE_MARGIN)));
  const height = full * scale, margin = LINE_MARGIN * height;
  const line = newCanvas(Math.max(8, Math.round(length * scale + 2 * margin)), Math.max(8, Math.round(height + 2 * margin)));
  const context = line.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.fillStyle = "white";
  context.fillRect(0, 0, line.width, line.height);
  for (let k = 1; k < half; k++) { // each part of the line becomes a rectangle; the first and the last have the margins
    const [left, right] = [k - 1, k].map((j) => margin + ends[j] * scale);
    const [from, to] = [k === 1 ? 0 : left, k === half - 1 ? line.width : right + 0.5];
    context.save();
    context.beginPath();
    context.rect(from, 0, to - from, line.height);
    context.clip();
    context.transform(...affine([upper[k - 1], upper[k], lower[k - 1]], [[left, margin], [right, margin], [left, margin + height]]));
    context.drawImage(canvas, 0, 0);
    context.restore();
  }
  return line;
}

/** The affine map of three points to three others, as a canvas takes it. */
function affine([a, b, c], [p, q, r]) {
  const [ux, uy, vx, vy] = [b[0] - a[0], b[1] - a[1], c[0] - a[0], c[1] - a[1]];
  const [sx, sy, tx, ty] = [q[0] - p[0], q[1] - p[1], r[0] - p[0], r[1] - p[1]];
  const area = ux * vy - uy * vx || 1;
  const m = [(sx * vy - tx * uy) / area, (sy * vy - ty * uy) / area, (tx * ux - sx * vx) / area, (ty * ux - sy * vx) / area];
  return [...m, p[0] - m[0] * a[0] - m[2] * a[1], p[1] - m[1] * a[0] - m[3] * a[1]];
}
