// The lines of a page on its picture: outlines by confidence, or the translation in place of the text.

import { makeSvg } from "./dom.js";
import { corners, frame, newCanvas } from "./picture.js";
import { level } from "./text.js";

const LEVEL_NAMES = { sure: "sure", fair: "less sure", poor: "unsure" };
const MIN_FONT = 0.45; // of the line's height; longer translations are condensed

const points = (polygon) => polygon.map(([x, y]) => `${x},${y}`).join(" ");

/** Outlines without names and focus, for the live view. */
export function drawOutlines(svg, page) {
  svg.setAttribute("viewBox", `0 0 ${page.width} ${page.height}`);
  svg.setAttribute("preserveAspectRatio", "xMidYMid slice"); // as the video covers its box
  svg.replaceChildren(...page.lines.map((line) => outline(line)));
}

function outline(line) {
  const shape = { points: points(line.polygon) };
  return makeSvg("g", { class: `outline ${level(line)}` }, makeSvg("polygon", { ...shape, class: "halo" }),
    makeSvg("polygon", { ...shape, class: "edge" }));
}

export class Overlay {
  /** onChoose: called with the number of a line that was touched, or chosen with Enter or space. */
  constructor(svg, onChoose) {
    [this.svg, this.onChoose, this.lines] = [svg, onChoose, []];
    svg.addEventListener("keydown", (event) => this.#moveFocus(event));
  }

  /** canvas: the picture. translation: its lines are shown in place of the text; null for outlines only. */
  draw(page, canvas, translation = null) {
    this.page = page;
    this.svg.setAttribute("viewBox", `0 0 ${page.width} ${page.height}`);
    this.lines = page.lines.map((line, number) => this.#drawLine(line, number, canvas, translation));
    this.marker = makeSvg("polygon", { class: "word-now", "aria-hidden": "true" });
    this.svg.replaceChildren(...this.lines, this.marker);
    this.svg.setAttribute("aria-label", page.lines.length ? "Lines on the picture" : "No lines on the picture");
  }

  #drawLine(line, number, canvas, translation) {
    const translated = translation?.lines[number]?.text;
    const what = line.rejected ? `not read: ${line.reason ?? "unclear"}` :
      `${translated || line.text}. ${LEVEL_NAMES[level(line)]}`;
    const group = outline(line);
    const attributes = { role: "button", tabindex: number ? -1 : 0,
      "aria-label": `Line ${number + 1} of ${this.page.lines.length}: ${what}`, "data-line": number };
    for (const [name, value] of Object.entries(attributes)) group.setAttribute(name, value);
    if (translated && !line.rejected) {
      const [cover, label] = translationLabel(line, translated, canvas);
      group.prepend(cover);
      group.append(label);
    }
    group.addEventListener("click", () => this.onChoose(number));
    return group;
  }

  #moveFocus(event) {
    const now = this.lines.indexOf(document.activeElement);
    if (now < 0) return;
    if (event.key === "Enter" || event.key === " ") this.onChoose(now);
    const moves = { ArrowDown: now + 1, ArrowRight: now + 1, ArrowUp: now - 1, ArrowLeft: now - 1, Home: 0, End: -1 };
    if (event.key in moves) {
      const next = this.lines.at(moves[event.key] % this.lines.length);
      for (const line of this.lines) line.setAttribute("tabindex", line === next ? 0 : -1);
      next.focus();
    } else if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
  }

  /** Mark the line that is said, and its word if it is known; null for none. */
  mark(number, word = null) {
    this.lines.forEach((line, k) => line.classList.toggle("playing", k === number));
    const found = number === null || word === null ? null : this.page.lines[number]?.words[word];
    this.marker.setAttribute("points", found?.polygon ? points(found.polygon) : "");
  }
}

/** A box with the colour of the picture around the line, and the translation in it. */
function translationLabel(line, text, canvas) {
  const { x, y, angle, height, ...whole } = frame(line.polygon);
  const margin = 0.12 * height, width = Math.max(height, whole.width - 2 * margin);
  const [red, green, blue] = colourAround(canvas, line.polygon);
  const isLight = 0.299 * red + 0.587 * green + 0.114 * blue > 140;
  const context = newCanvas(1, 1).getContext("2d");
  const full = 0.76 * height;
  context.font = `600 ${full}px system-ui, sans-serif`;
  const natural = context.measureText(text).width;
  const size = Math.max(MIN_FONT * height, Math.min(full, (full * width) / natural));
  const tooLong = (natural * size) / full > width * 1.02;
  const label = makeSvg("text", { "font-size": size, fill: isLight ? "#111" : "#fff", class: "translated", "aria-hidden": "true",
    transform: `translate(${x} ${y}) rotate(${(angle * 180) / Math.PI}) translate(${margin} ${0.5 * height + 0.35 * size})`,
    ...(tooLong ? { textLength: width, lengthAdjust: "spacingAndGlyphs" } : {}) });
  label.textContent = text;
  const cover = makeSvg("polygon", { points: points(line.polygon), class: "cover" });
  cover.style.fill = `rgb(${red} ${green} ${blue})`;
  return [cover, label];
}

/** The median colour along the upper and the lower side of a line. */
function colourAround(canvas, polygon) {
  const [a, b, c, d] = corners(polygon);
  const context = canvas.getContext("2d");
  const samples = [];
  for (let k = 0; k < 16; k++) {
    for (const [[x1, y1], [x2, y2]] of [[a, b], [d, c]]) {
      const [x, y] = [x1 + ((x2 - x1) * k) / 15, y1 + ((y2 - y1) * k) / 15];
      const inside = [Math.min(canvas.width - 1, Math.max(0, x)), Math.min(canvas.height - 1, Math.max(0, y))];
      samples.push(context.getImageData(...inside.map(Math.round), 1, 1).data);
    }
  }
  return [0, 1, 2].map((channel) => samples.map((s) => s[channel]).sort((p, q) => p - q)[16]);
}
