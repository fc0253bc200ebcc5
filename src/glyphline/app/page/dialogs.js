// The dialogs: settings, history, correcting a line, cropping, and the key of the service.

import { $, icon, make, say } from "./dom.js";
import { forgetKey, loadKey, saveKey } from "./key.js";
import { crop, cutLine, toBlob } from "./picture.js";
import { change, settings } from "./settings.js";
import { corrections, readings } from "./store.js";
import { packLines, showTeaching } from "./teach.js";
import { pageText } from "./text.js";

const SHOWN_LINES = 100; // corrected lines of the list

/** Show a dialog, and return the value of the button that closed it; "" if it was cancelled. */
function ask(dialog) {
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => dialog.addEventListener("close", () => resolve(dialog.returnValue), { once: true }));
}

for (const button of document.querySelectorAll("[data-close]")) {
  button.addEventListener("click", () => button.closest("dialog").close(""));
}

export function save(blob, name) {
  const link = make("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

const names = new Intl.DisplayNames(["en"], { type: "language" });

export function languageName(code) {
  try {
    return code && code !== "none" && code !== "auto" ? names.of(code) : "";
  } catch {
    return code;
  }
}

// ---------------------------------------------------------------------- settings

/** available: the answer of `reader.languages`. Fills the choices of both places for the target language. */
export function fillLanguages(available) {
  for (const select of [$("set-language"), $("set-voice")]) select.replaceChildren(...[...select.children].slice(0, 2));
  for (const { code } of available.reading) $("set-language").append(make("option", { value: code }, languageName(code)));
  for (const voice of available.voices.filter((v) => v.installed)) {
    $("set-voice").append(make("option", { value: voice.name }, `${voice.name} (${voice.languages.join(", ")})`));
  }
  const codes = new Set([...available.translation.map((pair) => pair.target), ...available.reading.map((l) => l.code)]);
  const sorted = [...codes].sort((a, b) => languageName(a).localeCompare(languageName(b)));
  for (const select of [$("target"), $("set-target")]) {
    select.replaceChildren(make("option", { value: "" }, "No translation"),
      ...sorted.map((code) => make("option", { value: code }, languageName(code))));
  }
  showSettings();
}

function showSettings() {
  $("set-language").value = settings.language;
  $("set-target").value = $("target").value = settings.target;
  $("set-voice").value = settings.voice;
  if ($("set-voice").selectedIndex < 0) $("set-voice").value = "auto";
  $("set-speed").value = settings.speed;
  $("speed-shown").textContent = `${Number(settings.speed).toFixed(1)} ×`;
  $("set-say").checked = settings.say;
  $("set-large").checked = settings.large;
  $("set-keep").checked = settings.keep;
  $("forget-key").hidden = !loadKey();
}

/** onChange: called with the name of a setting that the person changed. */
export function wireSettings(onChange) {
  const fields = {
    language: ["set-language", "value"], target: ["set-target", "value"], voice: ["set-voice", "value"],
    speed: ["set-speed", "valueAsNumber"], say: ["set-say", "checked"], large: ["set-large", "checked"],
    keep: ["set-keep", "checked"],
  };
  for (const [name, [id, property]] of Object.entries(fields)) {
    $(id).addEventListener("input", () => {
      change({ [name]: $(id)[property] });
      showSettings();
      onChange(name);
    });
  }
  $("open-settings").addEventListener("click", () => { showSettings(); $("settings").showModal(); });
  $("forget-key").addEventListener("click", () => { forgetKey(); showSettings(); say("The key is forgotten."); });
  change({});
  showSettings();
}

/** Ask for the key of the service. Returns whether one was given. */
export async function askKey() {
  $("key-text").value = "";
  const answer = await ask($("key"));
  if (answer !== "save" || !$("key-text").value.trim()) return false;
  saveKey($("key-text").value);
  return true;
}

// ---------------------------------------------------------------------- history

/** onOpen: called with a reading that is to be shown again. */
export function wireHistory(onOpen) {
  const erase = (records, said) => async () => {
    await records.clear();
    await showChanged(onOpen, said);
  };
  $("open-history").addEventListener("click", async () => {
    $("corrections-list").open = false;
    $("history").showModal();
    await showHistory(onOpen);
  });
  $("erase-history").addEventListener("click", erase(readings, "The history is erased."));
  $("download-corrections").addEventListener("click", async () => {
    save(await packLines(await corrections.shown()), "glyphline-lines.zip");
  });
  $("erase-corrections").addEventListener("click", erase(corrections, "The corrected lines are erased."));
  $("corrections-list").addEventListener("toggle", async () => showCorrections(await corrections.shown(), onOpen));
}

/** Show the history after something of it was deleted, and say so. */
async function showChanged(onOpen, said) {
  await showHistory(onOpen);
  $("history").querySelector("header button").focus();
  say(said);
}

async function showHistory(onOpen) {
  const [kept, corrected] = [await readings.shown(), await corrections.shown()];
  for (const image of $("readings").querySelectorAll("img")) URL.revokeObjectURL(image.src);
  $("readings").replaceChildren(...kept.reverse().map((reading) => historyItem(reading, onOpen)));
  $("no-readings").hidden = kept.length > 0;
  $("erase-history").hidden = kept.length === 0;
  const count = corrected.length;
  $("corrections-text").textContent = count === 0 ?
    "None yet. Correct a line with its pen: the picture of the line and your text teach a reader your hand." :
    `${count} ${count === 1 ? "line" : "lines"}, pictures and labels.tsv in a zip file, for glyphline evaluate and adapt.`;
  for (const id of ["download-corrections", "erase-corrections", "corrections-list"]) $(id).hidden = count === 0;
  showCorrections(corrected, onOpen);
  showTeaching(corrected); // the dialog does not wait for the service
}

/** The newest corrected lines, where they are to be seen, each with a button that deletes it. */
function showCorrections(corrected, onOpen) {
  const lines = $("corrections-list").open ? [...corrected].reverse() : [];
  for (const image of $("corrections").querySelectorAll("img")) URL.revokeObjectURL(image.src);
  const rest = lines.length - SHOWN_LINES;
  $("corrections").replaceChildren(...lines.slice(0, SHOWN_LINES).map((line) => correctionItem(line, onOpen)),
    ...(rest > 0 ? [make("li", { class: "hint" }, `and ${rest} older ${rest === 1 ? "line" : "lines"}`)] : []));
}

function correctionItem({ id, picture, text }, onOpen) {
  const shown = make("div", { class: "correction-item" },
    make("img", { src: URL.createObjectURL(picture), alt: "", loading: "lazy" }), make("span", { dir: "auto" }, text));
  return make("li", {}, shown, deleteButton(corrections, id, text, onOpen));
}

function deleteButton(records, id, what, onOpen) {
  const button = make("button", { type: "button", class: "quiet", "aria-label": `Delete: ${what}` }, icon("trash"));
  button.addEventListener("click", async () => {
    await records.remove(id);
    await showChanged(onOpen, "Deleted.");
  });
  return button;
}

function historyItem(reading, onOpen) {
  const time = new Date(reading.time);
  const when = time.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
  const text = pageText(reading.page).replaceAll(/\s+/g, " ") || "Nothing was read";
  const short = text.length > 90 ? `${text.slice(0, 90)}…` : text;
  const open = make("button", { type: "button", class: "reading-item" },
    make("img", { src: URL.createObjectURL(reading.picture), alt: "", loading: "lazy" }),
    make("span", {}, make("strong", { dir: "auto" }, short), make("time", { datetime: time.toISOString() }, when)));
  open.addEventListener("click", () => { $("history").close(); onOpen(reading); });
  return make("li", {}, open, deleteButton(readings, reading.id, short, onOpen));
}

// ---------------------------------------------------------------------- correcting and cropping

/**
 * Let the person type what a line says. Keeps its picture and text, in place of those of an earlier correction. Returns
 * {text, kept: the id of what is kept, null where the browser keeps nothing}; null if cancelled.
 */
export async function askCorrection(canvas, line) {
  const picture = cutLine(canvas, line.polygon);
  const shown = $("correct-picture");
  [shown.width, shown.height] = [picture.width, picture.height];
  shown.getContext("2d").drawImage(picture, 0, 0);
  $("correct-text").value = line.text;
  const answered = ask($("correct"));
  $("correct-text").select();
  const answer = await answered;
  const text = $("correct-text").value.replaceAll(/\s+/g, " ").trim();
  if (answer !== "save" || !text) return null;
  try {
    const earlier = line.correction ?? null;
    if (earlier !== null && (await corrections.change(earlier, { text }))) return { text, kept: earlier };
    return { text, kept: await corrections.add({ time: Date.now(), picture: await toBlob(picture), text }) };
  } catch {
    return { text, kept: null };
  }
}

const SIDES = { left: 0, top: 0, right: 1, bottom: 1 };
const STEP = 0.02, MIN_PART = 0.05; // shares of the picture

/** Let the person choose a part of a picture. Returns it as a canvas; null if cancelled. */
export async function askCrop(canvas) {
  const shown = $("crop-picture"), box = { ...SIDES };
  [shown.width, shown.height] = [canvas.width, canvas.height];
  shown.getContext("2d").drawImage(canvas, 0, 0);
  const set = (edge, value) => {
    const opposite = { left: "right", right: "left", top: "bottom", bottom: "top" }[edge];
    const isFirst = edge === "left" || edge === "top";
    const limits = isFirst ? [0, box[opposite] - MIN_PART] : [box[opposite] + MIN_PART, 1];
    box[edge] = Math.min(limits[1], Math.max(limits[0], value));
    const style = $("crop-box").style;
    style.left = `${100 * box.left}%`;
    style.top = `${100 * box.top}%`;
    style.right = `${100 * (1 - box.right)}%`;
    style.bottom = `${100 * (1 - box.bottom)}%`;
    for (const handle of $("crop-box").children) {
      const percent = Math.round(100 * box[handle.dataset.edge]);
      handle.setAttribute("aria-valuenow", percent);
      handle.setAttribute("aria-valuetext", `${percent} %`);
    }
  };
  for (const edge of Object.keys(SIDES)) set(edge, SIDES[edge]);
  const stop = new AbortController();
  for (const handle of $("crop-box").children) wireHandle(handle, box, set, stop.signal);
  const answer = await ask($("cropping"));
  stop.abort();
  return answer === "crop" ? crop(canvas, box) : null;
}

function wireHandle(handle, box, set, signal) {
  const { edge } = handle.dataset;
  const isColumn = edge === "left" || edge === "right";
  handle.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -STEP, ArrowUp: -STEP, ArrowRight: STEP, ArrowDown: STEP }[event.key];
    if (step) set(edge, box[edge] + step);
    else if (event.key === "Home") set(edge, 0);
    else if (event.key === "End") set(edge, 1);
    else return;
    event.preventDefault();
  }, { signal });
  handle.addEventListener("pointerdown", (event) => handle.setPointerCapture(event.pointerId), { signal });
  handle.addEventListener("pointermove", (event) => {
    if (!handle.hasPointerCapture(event.pointerId)) return;
    const area = $("crop-picture").getBoundingClientRect();
    set(edge, isColumn ? (event.clientX - area.left) / area.width : (event.clientY - area.top) / area.height);
  }, { signal });
}
