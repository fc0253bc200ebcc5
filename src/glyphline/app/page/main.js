// The flow of the page: get a picture, have it read, show it, say it, translate it.

import { Camera, hasCamera } from "./camera.js";
import {
  askCorrection, askCrop, askKey, fillLanguages, languageName, save, wireHistory, wireSettings,
} from "./dialogs.js";
import { $, icon, make, say, showSection, warn } from "./dom.js";
import { advise, adviseLive } from "./guidance.js";
import { takeKeyFromAddress } from "./key.js";
import { drawOutlines, Overlay } from "./overlay.js";
import { measure, openPicture, toBlob } from "./picture.js";
import { ReaderError, ServerReader } from "./reader.js";
import { change, settings } from "./settings.js";
import { Speaker } from "./speech.js";
import { readings } from "./store.js";
import { wireTeaching } from "./teach.js";
import { isDoubtful, level, pageText, spokenWords } from "./text.js";

const reader = new ServerReader((seconds) => {
  $("busy-text").textContent = `The reader is busy. Trying again in ${seconds} s.`;
});
const camera = new Camera($("video"));
const overlay = new Overlay($("overlay"), (number) => sayLine(number));
const speaker = new Speaker(reader, markSpoken, showPlayButton);

let current = null; // {canvas, picture: Blob, page, measures, translation, id: in the history; null: not yet, false: erased}
let available = { reading: [], translation: [], voices: [] };
let cancelReading = new AbortController();

// ---------------------------------------------------------------------- getting a picture

async function openBlob(blob) {
  leaveCamera();
  showSection("busy", $("busy-title"));
  let canvas;
  try {
    canvas = await openPicture(blob);
  } catch {
    showSection("start", $("choose"));
    warn("This file cannot be shown as a picture. Choose a JPEG or PNG picture.");
    return;
  }
  await readCanvas(canvas);
}

async function readCanvas(canvas) {
  speaker.stop();
  const back = current ? () => showResult({ isNew: false }) : () => showSection("start", $("take"));
  $("busy-text").textContent = "This takes about a second.";
  showSection("busy", $("busy-title"));
  cancelReading = new AbortController();
  try {
    const picture = await toBlob(canvas);
    const page = await withKey(() => reader.read(picture, { language: settings.language, signal: cancelReading.signal }));
    current = { canvas, picture, page, measures: measure(canvas), translation: null, id: null };
  } catch (error) {
    back();
    if (error.kind !== "cancelled") warn(message(error));
    return;
  }
  await showResult({ isNew: true });
}

/** Do something; if the service asks for a key, ask the person for it and do it again. */
async function withKey(action) {
  try {
    return await action();
  } catch (error) {
    if (error.kind === "key" && (await askKey())) {
      loadLanguages();
      return action();
    }
    throw error;
  }
}

function message(error) {
  return error instanceof ReaderError ? error.message : `Something went wrong: ${error.message}`;
}

async function pastePicture() {
  try {
    for (const item of await navigator.clipboard.read()) {
      const type = item.types.find((name) => name.startsWith("image/"));
      if (type) return openBlob(await item.getType(type));
    }
    warn("There is no picture on the clipboard. Copy one first.");
  } catch {
    warn("This browser gives no access to the clipboard here. Press Ctrl and V instead.");
  }
}

function wirePictures() {
  $("take").addEventListener("click", () => (hasCamera() ? openCamera() : $("capture").click()));
  $("again").addEventListener("click", () => { speaker.stop(); showSection("start", $("take")); });
  $("home").addEventListener("click", (event) => {
    event.preventDefault();
    leaveCamera();
    speaker.stop();
    showSection("start", $("take"));
  });
  $("choose").addEventListener("click", () => $("file").click());
  $("paste").addEventListener("click", pastePicture);
  $("cancel").addEventListener("click", () => cancelReading.abort());
  for (const input of [$("file"), $("capture")]) {
    input.addEventListener("change", () => {
      const [file] = input.files;
      input.value = "";
      if (file) openBlob(file);
    });
  }
  document.addEventListener("paste", (event) => {
    const file = [...event.clipboardData.files].find((f) => f.type.startsWith("image/"));
    if (file && !document.querySelector("dialog[open]")) openBlob(file);
  });
  let depth = 0; // of elements that a dragged picture has entered
  const showDrop = (change) => { depth = Math.max(0, depth + change); $("drop").hidden = depth === 0; };
  addEventListener("dragenter", () => showDrop(1));
  addEventListener("dragleave", () => showDrop(-1));
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    showDrop(-Infinity);
    const [file] = event.dataTransfer.files;
    if (file) openBlob(file);
  });
}

/** A picture that was shared into the app, or that the service was started with. */
async function openWaitingPicture() {
  const query = new URLSearchParams(location.search);
  if (query.has("shared")) {
    const cache = await caches.open("glyphline-shared");
    const response = await cache.match("shared-picture");
    await cache.delete("shared-picture");
    if (response) await openBlob(await response.blob());
  } else if (query.has("picture")) {
    const picture = await withKey(() => reader.picture()).catch(() => null);
    if (picture) await openBlob(picture);
  }
  if (location.search) history.replaceState(null, "", location.pathname);
}

// ---------------------------------------------------------------------- the camera

async function openCamera() {
  showSection("camera", $("shutter"));
  $("live-status").textContent = "Starting the camera";
  $("live-text").replaceChildren();
  $("live-overlay").replaceChildren();
  try {
    if (!(await camera.start())) return; // the person has left the camera meanwhile
  } catch (error) {
    showSection("start", $("choose"));
    warn(error.message);
    return;
  }
  camera.watch(lookAtView, readView);
}

function lookAtView(state) {
  if (!$("live").checked) return showLiveStatus("Press the round button to take the picture");
  const advice = adviseLive(measure(camera.video), state === "still");
  if (advice) {
    $("live-overlay").replaceChildren();
    showLiveStatus(advice);
  }
}

function showLiveStatus(text) {
  if ($("live-status").textContent !== text) $("live-status").textContent = text;
}

async function readView() {
  if (!$("live").checked || $("camera").hidden) return;
  showLiveStatus("Reading");
  const canvas = camera.picture();
  let page;
  try {
    page = await withKey(async () => reader.read(await toBlob(canvas), { language: settings.language, tries: 1 }));
  } catch (error) {
    if (!$("camera").hidden) showLiveStatus(error.kind === "busy" ? "The reader is busy" : message(error));
    return;
  }
  if ($("camera").hidden) return;
  drawOutlines($("live-overlay"), page);
  const advice = advise(page, measure(canvas));
  const lines = page.lines.filter((line) => !line.rejected && line.text);
  showLiveStatus(lines.length ? `${count(lines.length, "line")} in view` : `${advice.title}. ${advice.text}`);
  $("live-text").replaceChildren(...lines.map((line) => make("p", { dir: "auto" }, ...wordSpans(line))));
  const items = lines.map((line) => spokenItem(page, line, null));
  if (settings.say) speaker.play(items.length ? items : [adviceItem(advice)]).catch((error) => warn(error.message));
}

function adviceItem(advice) {
  const words = `${advice.title}. ${advice.text}`.split(" ").map((text) => ({ text, word: null }));
  return { line: null, words, language: "en" };
}

function leaveCamera() {
  camera.stop();
}

function wireCamera() {
  $("close-camera").addEventListener("click", () => { leaveCamera(); showSection("start", $("take")); });
  $("shutter").addEventListener("click", async () => {
    if (!camera.running) return;
    const canvas = camera.picture();
    leaveCamera();
    await readCanvas(canvas);
  });
}

// ---------------------------------------------------------------------- the result

const count = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;

async function showResult({ isNew }) {
  const { canvas, page } = current;
  const shown = $("picture");
  [shown.width, shown.height] = [canvas.width, canvas.height];
  shown.getContext("2d").drawImage(canvas, 0, 0);
  document.querySelector('input[name="view"][value="original"]').checked = true;
  showLines();
  showGuidance();
  $("target").value = settings.target;
  showSection("result", $("result-title"));
  say(summaryForEars(), false);
  if (!isNew) return;
  await keepReading();
  await translate();
  if (settings.say) playAll();
}

function summaryForEars() {
  const advice = advise(current.page, current.measures);
  return [$("summary").textContent, advice ? `${advice.title}. ${advice.text}` : ""].filter(Boolean).join(". ");
}

function showLines() {
  const { page, canvas, translation } = current;
  const shownTranslation = isTranslationShown() ? translation : null;
  const read = page.lines.filter((line) => !line.rejected).length;
  const rejected = page.lines.length - read;
  const language = languageName(page.language);
  $("summary").textContent = [count(read, "line") + " read", rejected ? `${rejected} not read` : "", language].filter(Boolean).join(" · ");
  overlay.draw(page, canvas, shownTranslation);
  $("overlay-help").hidden = page.lines.length === 0;
  const focused = document.activeElement.closest(".line button");
  const place = focused && `.line[data-line="${focused.parentElement.dataset.line}"] .${focused.classList.contains("edit") ? "edit" : "say"}`;
  $("lines").replaceChildren(...page.lines.map((line, number) => lineItem(line, number, shownTranslation)));
  if (place) document.querySelector(place)?.focus();
  $("lines").lang = (shownTranslation ? shownTranslation.target : page.language) ?? "";
  const isEmpty = read === 0;
  for (const id of ["copy", "play"]) $(id).disabled = isEmpty;
  $("view").hidden = !translation;
}

function lineItem(line, number, translation) {
  const previous = current.page.lines[number - 1];
  const starts = previous && previous.paragraph !== line.paragraph ? " paragraph-start" : "";
  const item = make("li", { class: `line ${level(line)}${starts}`, "data-line": number });
  if (line.rejected) {
    item.append(make("p", { class: "reason" }, icon("close"), `Not read: ${line.reason ?? "unclear"}`));
  } else {
    const translated = translation?.lines[number];
    const words = translated ? translatedSpans(translated) : wordSpans(line);
    const button = make("button", { type: "button", class: "say", dir: "auto" }, ...words);
    button.addEventListener("click", () => sayLine(number));
    item.append(button);
  }
  const what = line.rejected ? `Type what line ${number + 1} says` : `Correct line ${number + 1}`;
  const edit = make("button", { type: "button", class: "quiet edit", "aria-label": what, title: what, lang: "en" }, icon("pen"));
  edit.addEventListener("click", () => correctLine(number));
  item.append(edit);
  return item;
}

function wordSpans(line) {
  return line.words.flatMap((word, k) => {
    const mark = isDoubtful(word) ? [make("span", { class: "visually-hidden", lang: "en" }, " (doubtful)")] : [];
    const span = make("span", { class: isDoubtful(word) ? "word doubtful" : "word", "data-word": k }, word.text, ...mark);
    return k ? [" ", span] : [span];
  });
}

function translatedSpans(translated) {
  const unknown = new Set(translated.unknown);
  const words = translated.text.split(/\s+/).filter(Boolean);
  return words.flatMap((text, k) => {
    const span = make("span", { class: unknown.has(text) ? "word unknown" : "word", "data-word": k }, text);
    return k ? [" ", span] : [span];
  });
}

function showGuidance() {
  const advice = advise(current.page, current.measures);
  $("guidance").hidden = !advice;
  if (!advice) return;
  $("guidance").dataset.kind = advice.kind;
  $("guidance-title").textContent = advice.title;
  $("guidance-text").textContent = advice.text;
}

async function keepReading() {
  if (!settings.keep) return;
  const { picture, page, id } = current;
  const shown = current;
  try {
    if (id === null) shown.id = await readings.add({ time: Date.now(), picture, page });
    else if (id !== false && !(await readings.change(id, { page }))) shown.id = false;
  } catch {
    say("This browser keeps no history here (a private window?).");
  }
}

async function openReading(reading) {
  let canvas;
  try {
    canvas = await openPicture(reading.picture);
  } catch {
    warn("This picture cannot be shown any more. Delete it from the history.");
    return;
  }
  leaveCamera();
  speaker.stop();
  current = { canvas, picture: reading.picture, page: reading.page, measures: measure(canvas), translation: null, id: reading.id };
  await showResult({ isNew: false });
  if (settings.target) await translate();
}

async function correctLine(number) {
  const line = current.page.lines[number];
  const answer = await askCorrection(current.canvas, line);
  if (answer === null) return;
  const { text, kept } = answer;
  const words = text.split(" ").map((word) => ({ text: word, confidence: 1 }));
  Object.assign(line, { text, words, characters: [], confidence: 1, rejected: false, reason: null, corrected: true, correction: kept });
  current.translation = null;
  showLines();
  showGuidance();
  document.querySelector(`.line[data-line="${number}"] .say`)?.focus();
  await keepReading();
  if (kept === null) warn("This browser keeps nothing here (a private window, or no space?), so the line is only shown.");
  else say("Saved. The line is kept with its picture in this browser.");
  await translate();
}

function fileName(suffix) {
  return `glyphline-${new Date().toISOString().slice(0, 16).replaceAll(":", "")}${suffix}`;
}

/** A line as the reader writes it: one that was corrected has no words with places. */
function plainLine({ corrected, correction, ...line }) {
  return corrected ? { ...line, words: [] } : line;
}

async function download(format) {
  const { page, picture, translation } = current;
  try {
    if (format === "text") {
      const text = pageText(page, isTranslationShown() ? translation : null);
      save(new Blob([`${text}\n`], { type: "text/plain" }), fileName(".txt"));
    } else if (format === "json" && !(page.tables?.length && page.lines.some((line) => line.corrected))) {
      const document = { file: "picture.jpg", pages: [{ ...page, lines: page.lines.map(plainLine) }] };
      save(new Blob([JSON.stringify(document)], { type: "application/json" }), fileName(".json"));
    } else {
      say("The reader makes the file");
      const corrected = page.lines.flatMap(({ corrected: is, text, polygon }, k) => (is ? [[k, { text, polygon }]] : []));
      const options = { language: settings.language, corrections: Object.fromEntries(corrected) };
      save(await reader.render(picture, format, options), fileName(`.${format}`));
    }
  } catch (error) {
    warn(message(error));
  }
}

function wireResult() {
  $("copy").addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(pageText(current.page, isTranslationShown() ? current.translation : null));
      say("Copied.");
    } catch {
      warn("This browser does not let the page copy here. Select the text and copy it, or download it.");
    }
  });
  $("share").hidden = !navigator.share;
  $("share").addEventListener("click", () => {
    const text = pageText(current.page, isTranslationShown() ? current.translation : null);
    navigator.share({ text }).catch(() => {});
  });
  $("crop").addEventListener("click", async () => {
    const part = await askCrop(current.canvas);
    if (part) await readCanvas(part);
  });
  for (const button of $("download-menu").querySelectorAll("button")) {
    button.addEventListener("click", () => { $("download-menu").open = false; download(button.dataset.format); });
  }
  $("download-menu").addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    $("download-menu").open = false;
    $("download-menu").querySelector("summary").focus();
  });
  document.addEventListener("click", (event) => {
    if (!$("download-menu").contains(event.target)) $("download-menu").open = false;
  });
}

// ---------------------------------------------------------------------- translation

function isTranslationShown() {
  return Boolean(current?.translation) && document.querySelector('input[name="view"]:checked').value === "translation";
}

async function translate() {
  const shown = current;
  shown.translation = null;
  showTranslationNote("");
  $("install").hidden = true;
  const { page } = shown;
  if (settings.target && settings.target !== page.language && page.lines.some((line) => !line.rejected)) {
    showTranslationNote("Translating");
    try {
      const translation = await withKey(() => reader.translate(page, settings.target));
      if (current !== shown) return;
      const isTranslated = translation.lines.some((line) => line.translator);
      showTranslationNote(noteOf(translation));
      if (translation.advice) offerInstall(page.language, settings.target);
      if (isTranslated) {
        shown.translation = translation;
        document.querySelector('input[name="view"][value="translation"]').checked = true;
        say(`Translated to ${languageName(translation.target)}.`, false);
      }
    } catch (error) {
      if (current !== shown) return;
      showTranslationNote(message(error));
      offerInstall(page.language, settings.target);
    }
  }
  showLines();
}

/** Which translators were at work, and what they could not do. */
function noteOf(translation) {
  const makers = new Set(translation.lines.map((line) => line.translator).filter(Boolean));
  const notes = makers.size ? [`Translated by ${[...makers].join(", ").replaceAll("-", " ")}.`] : [];
  if (translation.advice) notes.push(`${translation.advice[0].toUpperCase()}${translation.advice.slice(1)}.`);
  else if (!makers.size) notes.push("There was nothing to translate.");
  if (translation.lines.some((line) => line.is_gist)) notes.push("Only the gist: do not rely on its details.");
  if (translation.lines.some((line) => line.unknown.length)) notes.push("Underlined words are not translated.");
  return notes.join(" ");
}

function showTranslationNote(text) {
  $("translation-note").textContent = text;
}

const megabytesOf = (bytes) => Math.round(bytes / 1e6);

function offerInstall(source, target) {
  const missing = (from, to) => available.translation.find((p) => p.source === from && p.target === to && !p.installed);
  // a pair without English is translated by way of it
  const steps = [source, target].includes("en") ? [missing(source, target)] : [missing(source, "en"), missing("en", target)];
  const found = steps.filter(Boolean);
  $("install").hidden = found.length === 0;
  if (!found.length) return;
  const megabytes = found.reduce((sum, step) => sum + (step.megabytes ?? 0), 0);
  const size = megabytes ? ` (${Math.round(megabytes)} MB)` : "";
  $("install").textContent = `Install ${languageName(source)} to ${languageName(target)}${size} on the reader's machine`;
  $("install").onclick = async () => {
    $("install").disabled = true;
    showTranslationNote("Installing. This may take a few minutes.");
    try {
      let shown = 0; // tenths of the download: a screen reader says each note
      await reader.install(source, target, (done, total) => {
        const tenth = Math.floor((10 * done) / total);
        if (tenth > shown) showTranslationNote(`Installing: ${megabytesOf(done)} of ${megabytesOf(total)} MB.`);
        shown = Math.max(shown, tenth);
      });
      await loadLanguages();
      await translate();
    } catch (error) {
      showTranslationNote(message(error));
    } finally {
      $("install").disabled = false;
    }
  };
}

function wireTranslation() {
  $("target").addEventListener("change", () => { change({ target: $("target").value }); translate(); });
  for (const choice of document.querySelectorAll('input[name="view"]')) {
    choice.addEventListener("change", () => { speaker.stop(); showLines(); });
  }
}

async function loadLanguages() {
  try {
    available = await reader.languages();
  } catch {
    available = { reading: Object.keys(KNOWN_LANGUAGES).map((code) => ({ code })), translation: [], voices: [] };
  }
  fillLanguages(available);
}

const KNOWN_LANGUAGES = { en: 1, fr: 1, de: 1, es: 1, nl: 1, it: 1, pl: 1, pt: 1, da: 1, sv: 1 }; // while offline

// ---------------------------------------------------------------------- speech

function spokenItem(page, line, translation) {
  const number = page.lines.indexOf(line);
  const language = translation ? translation.target : knownLanguage(line.language) ?? knownLanguage(page.language) ?? "en";
  return { line: number, words: spokenWords(line, language, translation ? translation.lines[number].text : null), language };
}

const knownLanguage = (code) => (code && code !== "none" ? code : null);

function spokenItems(lines) {
  const translation = isTranslationShown() ? current.translation : null;
  return lines.map((line) => spokenItem(current.page, line, translation)).filter((item) => item.words.length);
}

function sayLine(number) {
  const line = current.page.lines[number];
  if (line.rejected) return say(`Line ${number + 1} was not read: ${line.reason ?? "unclear"}.`);
  play(spokenItems([line]));
}

function playAll() {
  const items = spokenItems(current.page.lines);
  const advice = advise(current.page, current.measures);
  play(items.length ? items : [adviceItem(advice)]);
}

function play(items) {
  if (!items.length) return;
  speaker.play(items).catch((error) => warn(error.message));
  showPlayButton();
}

function showPlayButton() {
  const [name, text] = speaker.playing ? ["stop", "Stop"] : ["play", "Play all"];
  $("play").querySelector("span").textContent = text;
  $("play").querySelector("use").setAttribute("href", `#i-${name}`);
}

function markSpoken(number, word) {
  if ($("result").hidden || !current) return;
  overlay.mark(number, isTranslationShown() ? null : word);
  for (const item of document.querySelectorAll(".line")) {
    const isPlaying = Number(item.dataset.line) === number;
    if (isPlaying && !item.classList.contains("playing")) item.scrollIntoView({ block: "nearest" });
    item.classList.toggle("playing", isPlaying);
    for (const span of item.querySelectorAll(".word")) {
      span.classList.toggle("now", isPlaying && word !== null && Number(span.dataset.word) === word);
    }
  }
}

// ---------------------------------------------------------------------- start

takeKeyFromAddress();
wirePictures();
wireCamera();
wireResult();
wireTranslation();
wireSettings((name) => {
  if (name === "target" && current && !$("result").hidden) translate();
});
wireHistory(openReading);
wireTeaching(reader, withKey);
$("play").addEventListener("click", () => (speaker.playing ? speaker.stop() : playAll()));
addEventListener("keydown", (event) => { if (event.key === "Escape") speaker.stop(); });
addEventListener("pagehide", leaveCamera);
showSection("start");
loadLanguages();
openWaitingPicture();

if ("serviceWorker" in navigator) {
  // the name of the worker is a constant: no text of a picture ever gets into a script
  const policy = window.trustedTypes?.createPolicy("glyphline", { createScriptURL: () => "service-worker.js" });
  navigator.serviceWorker.register(policy ? policy.createScriptURL("") : "service-worker.js").catch(() => {});
}
