// Teaching the reader with the corrected lines, on a service that allows it: progress, result, and the way back.

import { $ } from "./dom.js";
import { sentence } from "./reader.js";
import { makeZip } from "./zip.js";

const MAX_BYTES = 20e6; // of the pictures that are sent; the service takes 24 MB
const GOOD_START = 20; // lines; the more, the better is what is learned and measured

/** Lines as a zip file: a folder with pictures and labels.tsv, as glyphline evaluate and adapt take it. */
export async function packLines(lines) {
  const files = [], rows = [];
  for (const { picture, text } of lines) {
    const name = `${String(rows.length).padStart(6, "0")}.${picture.type === "image/png" ? "png" : "jpg"}`;
    files.push([`glyphline-lines/${name}`, new Uint8Array(await picture.arrayBuffer())]);
    rows.push(`${name}\t${text}\n`);
  }
  files.push(["glyphline-lines/labels.tsv", new TextEncoder().encode(rows.join(""))]);
  return makeZip(files);
}

/** The newest lines, as many as may be sent. */
function newest(lines) {
  let bytes = 0;
  const first = lines.findLastIndex(({ picture }) => (bytes += picture.size) > MAX_BYTES) + 1;
  return lines.slice(first);
}

let reader, withKey;
let lines = []; // that are sent
let service = null; // what it says about its teaching; null where it allows none
let following = false; // the steps of a teaching

/** serverReader: see reader.js. ask: does something, and asks for the key of the service where that is needed. */
export function wireTeaching(serverReader, ask) {
  [reader, withKey] = [serverReader, ask];
  $("teach").addEventListener("click", teach);
  $("teach-cancel").addEventListener("click", () => attempt(() => reader.cancelTeaching()));
  $("teach-delete").addEventListener("click", deleteUnfinished);
  $("use-reader").addEventListener("click", () => use(other()));
  $("use-previous").addEventListener("click", () => use("previous"));
}

async function use(name) {
  tell("Changing the reader.");
  if (await attempt(async () => { service = await withKey(() => reader.useReader(name)); })) tell(inUse());
  showState();
}

/** Delete what a teaching that was stopped has left on the reader's machine. */
async function deleteUnfinished() {
  const isDone = await attempt(async () => { service = await withKey(() => reader.cancelTeaching()); });
  if (isDone) tell(service.unfinished ? "They could not be deleted. Look into the folder of the service." : "Deleted.");
  showState();
}

/** Ask the service whether it teaches, and show what can be done. kept: the corrected lines. */
export async function showTeaching(kept) {
  lines = newest(kept);
  try {
    service = await reader.teaching();
  } catch {
    service = null;
  }
  $("teaching").hidden = !service;
  if (!service) return;
  $("teach-about").textContent = expectation(kept.length);
  if (!following) {
    $("teach-details").textContent = "";
    tell(ending(service.step));
  }
  showState();
  if (service.state === "teaching" && !following) follow(() => reader.followTeaching(showStep));
}

function expectation(count) {
  if (count < service.min_lines) {
    const have = count === 0 ? "You have none yet." : `You have ${count}.`;
    return `The reader of this page can learn a hand from ${service.min_lines} corrected lines or more: a quarter of them ` +
      `is kept out, to measure whether it reads better. ${have} ${GOOD_START} are a good start, more are better.`;
  }
  const sent = lines.length < count ? `the newest ${lines.length} of your ${count} lines` : `your ${count} lines`;
  return `Teaching sends ${sent}, pictures and texts, to the reader's machine. They are stored there, in ${service.folder}, ` +
    "while it learns, and deleted then; if it is stopped on the way, they stay until it goes on or you delete them. If " +
    "the new reader reads your lines better and other people's no worse, it stays there, and everyone who uses this service reads with it.";
}

const other = () => (service.in_use === "mine" ? "original" : "mine");
const NAMES = { original: "The original reader", mine: "Your reader", previous: "The reader that was taught before" };
const inUse = () => `${NAMES[service.in_use]} is in use.`;

/** Show what can be done now. */
function showState() {
  const isTeaching = following || service.state === "teaching";
  const canTeach = !isTeaching && lines.length >= service.min_lines;
  const focused = document.activeElement;
  $("teach-choice").hidden = !canTeach;
  $("teach-progress").hidden = $("teach-cancel").hidden = !isTeaching;
  $("teach-delete").hidden = isTeaching || !service.unfinished;
  $("use-reader").hidden = isTeaching || service.readers.length < 2;
  $("use-previous").hidden = isTeaching || !service.readers.includes("previous") || service.in_use === "previous";
  $("use-previous").textContent = `Use the reader that learned ${learnedOn(service.taught_before)}`;
  $("use-reader").textContent = service.in_use === "mine" ? "Use the original reader again" : "Use my reader";
  $("reader-in-use").textContent = service.readers.length < 2 ? "" : `${inUse()} Yours learned ${learnedOn(service.taught)}.`;
  if (focused.closest("#teaching") && !focused.checkVisibility()) $("teaching-title").focus();
}

function learnedOn(taught) {
  if (!taught) return "on an earlier day";
  return `on ${new Date(taught.time).toLocaleString(undefined, { dateStyle: "long", timeStyle: "short" })}`;
}

async function teach() {
  const minutes = $("teach-minutes").valueAsNumber;
  if (!$("teach-minutes").reportValidity()) return;
  const zip = await packLines(lines);
  await follow(() => withKey(() => reader.teach(zip, minutes, showStep)));
}

/** Show a teaching until its end. begin: asks the service for its steps, and returns the last one. */
async function follow(begin) {
  following = true;
  tell("The reader gets ready to learn.");
  $("teach-details").textContent = "";
  for (const name of ["value", "max"]) $("teach-progress").removeAttribute(name);
  const wasPressed = document.activeElement === $("teach");
  showState();
  if (wasPressed) $("teach-cancel").focus();
  const last = await attempt(begin);
  following = false;
  const isKnown = await attempt(async () => { service = await reader.teaching(); });
  if (last && isKnown) tell(ending(last));
  showState();
}

/** seconds_left goes down while the reader learns, and may go up when a step takes longer than was thought. */
function showStep({ step, seconds_left: left, left_out: leftOut }) {
  if (!step) return;
  $("teach-progress").max = Math.max($("teach-progress").max, left, 1);
  $("teach-progress").value = $("teach-progress").max - left;
  const minutes = Math.round(left / 60);
  const time = minutes === 0 ? "It is nearly done." : `About ${minutes} ${minutes === 1 ? "minute" : "minutes"} left.`;
  tell(`The reader learns. ${time}`);
  const details = step.replace(/, [\d.]+ minutes left$/, ""); // without those of comparing
  $("teach-details").textContent = [details, ...leftOut].map(sentence).join(" ");
}

/** How a teaching ended, in plain words; "" where its last step is not known. */
function ending(step) {
  if (!step?.result) return step?.error ? sentence(step.error) : "";
  const { result, left_out: leftOut } = step;
  const { own, own_kind: kind, common, common_note: note, kept, reason } = result;
  const percent = (rate) => `${(100 * rate).toFixed(1)} %`;
  $("teach-details").textContent = [
    `Characters read wrong, of your lines: ${percent(own.after)}, ${percent(own.before)} before; of other people's: ` +
      `${percent(common.after)}, ${percent(common.before)} before.`, ...(note ? [sentence(note)] : []),
    ...leftOut.map(sentence),
  ].join(" ");
  const lineCount = own.lines === 1 ? "the line" : `the ${own.lines} lines`;
  const measured = kind === "composed" ? "composed of your characters" : "that were kept out";
  const right = `Of ${lineCount} ${measured}, it reads ${own.right_after} without a mistake, ${own.right_before} before.`;
  return `${kept ? "The reader has learned." : sentence(reason)} ${right} ${inUse()}`;
}

/** Do something; if it fails, say why. Returns what it returned, or true; null if it failed. */
async function attempt(action) {
  try {
    return (await action()) ?? true;
  } catch (error) {
    tell(error.kind ? error.message : "The connection was lost. Open the history again to see how far the reader is.");
    return null;
  }
}

function tell(text) { // only what changed: a screen reader says each change
  if ($("teach-status").textContent !== text) $("teach-status").textContent = text;
}
