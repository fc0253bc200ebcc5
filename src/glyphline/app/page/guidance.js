// What to do when a picture cannot be read: measured from the picture and told by the rejected lines.

import { frame } from "./picture.js";

// Measured on 24 photographs of signs and on examples/sign.jpg, blurred and darkened: the photographs have at least 100
// and 0.25; the sign is read completely down to a sharpness of 0.17, to three of five lines at 0.09, to none at 0.06.
const DARK = 45; // brightness (of the brightest 5 %) below which a picture is too dark
const BLURRED = 0.12; // sharpness below which a picture is blurred
const SMALL = 14; // px; lower lines are too small
const EDGE = 0.006; // share of the picture's side within which a line touches the edge

const ADVICE = {
  dark: ["It is too dark", "Turn on a light, or move so that the light falls on the text."],
  blurred: ["The picture is blurred", "Hold still, wait until the camera is sharp, then take it again."],
  small: ["The text is too small", "Move closer, so that the text fills the picture."],
  cut: ["The text is cut off", "Move back or to the side, so that the whole text is in the picture."],
  unknown: ["This reader does not know the writing", "It reads print and clear handwriting in Latin letters."],
  uncertain: ["The text is not clear enough", "Move closer and hold the camera straight before the text."],
  none: ["No text was found", "Point the camera at words, move closer, and take the picture again."],
};

const SCRIPT = / \(([^)]+)\)$/; // at the end of a reason

const REASONS = {
  "too blurred": "blurred", "too small": "small", "writing this reader does not know": "unknown",
  "probably not text": "none", "too many characters are uncertain": "uncertain",
};

/** Why a line was not read, without the name of its script: "writing this reader does not know (Greek)". */
function reasonOf(line) {
  return (line.reason ?? "").replace(SCRIPT, "");
}

/** Whether a line ends at the edge of the picture, so that a part of it may be missing. */
export function touchesEdge(line, page) {
  const [dx, dy] = [EDGE * page.width, EDGE * page.height];
  return line.polygon.some(([x, y]) => x <= dx || y <= dy || x >= page.width - dx || y >= page.height - dy);
}

/** What keeps lines from being read, and what to do: {kind, title, text}, or null if everything was read. */
export function advise(page, measures) {
  const rejected = page.lines.filter((line) => line.rejected);
  const read = page.lines.length - rejected.length;
  if (read && !rejected.length) return null;
  const kind = mainObstacle(page, rejected, measures, read);
  const [what, text] = ADVICE[kind];
  const scripts = rejected.map((line) => SCRIPT.exec(line.reason ?? "")?.[1]).filter(Boolean);
  const title = kind === "unknown" && scripts.length ? `${what}: ${scripts[0]}` : what;
  if (!read) return { kind, title, text };
  const count = rejected.length === 1 ? "One line was not read" : `${rejected.length} lines were not read`;
  return { kind, title: count, text: `${title}. ${text}` };
}

function mainObstacle(page, rejected, measures, read) {
  if (!read && measures.brightness < DARK) return "dark";
  if (!rejected.length) return measures.sharpness < BLURRED && measures.contrast > 25 ? "blurred" : "none";
  const counts = {};
  for (const line of rejected) {
    let kind = REASONS[reasonOf(line)] ?? "uncertain";
    if (["unknown", "uncertain"].includes(kind)) {
      if (touchesEdge(line, page)) kind = "cut";
      else if (frame(line.polygon).height < SMALL) kind = "small";
      else if (measures.sharpness < BLURRED) kind = "blurred";
    }
    counts[kind] = (counts[kind] ?? 0) + 1;
  }
  return Object.keys(counts).reduce((a, b) => (counts[b] > counts[a] ? b : a));
}

/** What to do while the camera looks: a short sentence, "" if all is well. */
export function adviseLive(measures, isStill) {
  if (measures.brightness < DARK) return "Too dark. Turn on a light.";
  return isStill ? "" : "Hold still";
}
