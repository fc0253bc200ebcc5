// What the page asks of a reader. ServerReader asks the service that the page came from; a reader that runs inside the
// browser can take its place by having the same methods.
//
//   read(picture, {language, signal}) -> page        picture: Blob; page: as `glyphline read --format json` has it
//   render(picture, format, {language, corrections}) -> Blob   a document such as a PDF;
//       corrections: {number of the line: {text, polygon}}
//   picture() -> Blob                                 the picture that it was started with
//   translate(page, target) -> {source, target, advice, lines: [{text, translator, is_gist, unknown}]}
//   speak(text, language, {speed, voice}) -> {audio: Blob, words: [{text, start, end}]}
//   languages() -> {reading, translation, voices}
//   install(source, target, onProgress)               a pair for translate; onProgress: with bytes done and in all
//   teaching() -> {state, in_use, readers, taught, step, folder, min_lines, unfinished}   whether it may be taught here
//   teach(zip, minutes, onStep) -> {result, left_out}  zip: Blob of labelled lines; onStep: with {step, seconds_left, left_out}
//   followTeaching(onStep) -> as teach                 the teaching that runs
//   cancelTeaching(), useReader("original", "mine" or "previous") -> as teaching
//
// Each rejects with a ReaderError.

import { loadKey } from "./key.js";

const TRIES = 4; // while the service is busy

/** kind: "offline", "busy", "key" (missing or wrong), "missing" (part not installed), "refused", "cancelled". */
export class ReaderError extends Error {
  constructor(message, kind) {
    super(message);
    this.kind = kind;
  }
}

const KINDS = { 401: "key", 501: "missing", 503: "busy" };

export class ServerReader {
  /** onBusy: called with the seconds after which a busy service is asked again. */
  constructor(onBusy = () => {}) {
    this.onBusy = onBusy;
  }

  async read(picture, { language = "auto", signal, tries = TRIES } = {}) {
    const response = await this.#send(`api/read?language=${encodeURIComponent(language)}`, form(picture), signal, tries);
    return (await response.json()).pages[0];
  }

  async render(picture, format, { language = "auto", corrections = {} } = {}) {
    const query = new URLSearchParams({ format, language });
    const data = form(picture);
    if (Object.keys(corrections).length) data.append("corrections", JSON.stringify(corrections));
    return (await this.#send(`api/read?${query}`, data)).blob();
  }

  /** The picture that the service was started with. */
  async picture() {
    return (await this.#send("api/picture")).blob();
  }

  async translate(page, target, source = page.language ?? "auto") {
    const lines = page.lines.map(({ text, rejected, paragraph, language, polygon }) =>
      ({ text, rejected, paragraph, language, polygon }));
    return (await this.#send("api/translate", { lines, source, target })).json();
  }

  async speak(text, language, { speed = 1, voice = "auto" } = {}) {
    const answer = await (await this.#send("api/speak?format=json", { text, language, speed, voice })).json();
    const bytes = Uint8Array.from(atob(answer.audio), (c) => c.charCodeAt(0));
    return { ...answer, audio: new Blob([bytes], { type: "audio/wav" }) };
  }

  async languages() {
    return (await this.#send("api/languages")).json();
  }

  async install(source, target, onProgress = () => {}) {
    const response = await this.#send("api/translate/install", { source, target });
    await lastStep(response, ({ done, total }) => { if (total) onProgress(done, total); });
  }

  async teaching() {
    return (await this.#send("api/teach")).json();
  }

  async teach(zip, minutes, onStep = () => {}) {
    const data = new FormData();
    data.append("file", zip, "glyphline-lines.zip");
    data.append("minutes", minutes);
    return lastStep(await this.#send("api/teach", data), onStep);
  }

  async followTeaching(onStep = () => {}) {
    return lastStep(await this.#send("api/teach?follow=true"), onStep);
  }

  async cancelTeaching() {
    return (await this.#send("api/teach", null, null, TRIES, "DELETE")).json();
  }

  async useReader(name) {
    return (await this.#send("api/teach/use", { reader: name })).json();
  }

  /** body: FormData, an object for JSON, or nothing for GET. */
  async #send(path, body, signal, tries = TRIES, method = body ? "POST" : "GET") {
    const headers = loadKey() ? { Authorization: `Bearer ${loadKey()}` } : {};
    if (body && !(body instanceof FormData)) {
      headers["Content-Type"] = "application/json";
      body = JSON.stringify(body);
    }
    for (let attempt = 1; ; attempt++) {
      let response;
      try {
        response = await fetch(path, { method, headers, body, signal, credentials: "omit" });
      } catch (error) {
        if (error.name === "AbortError") throw new ReaderError("Cancelled.", "cancelled");
        throw new ReaderError("The reader cannot be reached. Is its machine on, and in the same network?", "offline");
      }
      if (response.ok) return response;
      const message = await response.json().then((answer) => answer.error, () => response.statusText);
      if (response.status !== 503 || attempt >= tries) {
        throw new ReaderError(sentence(message), KINDS[response.status] ?? "refused");
      }
      const seconds = Number(response.headers.get("Retry-After")) || 2;
      this.onBusy(seconds);
      await wait(1000 * Math.min(seconds, 10), signal);
    }
  }
}

function form(picture) {
  const data = new FormData();
  data.append("file", picture, picture.name ?? "picture.jpg");
  return data;
}

/** Take the steps of long work, one JSON object a line. Returns the last; rejects if it is an error. */
async function lastStep(response, onStep) {
  const stream = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "", step = {};
  for (let part = await stream.read(); !part.done; part = await stream.read()) {
    const lines = (rest + part.value).split("\n");
    rest = lines.pop();
    for (step of lines.map((line) => JSON.parse(line))) onStep(step);
  }
  if (step.error) throw new ReaderError(sentence(step.error), "refused");
  return step;
}

export function sentence(message) {
  const text = String(message || "The reader failed.");
  return text[0].toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");
}

function wait(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", () => reject(new ReaderError("Cancelled.", "cancelled")));
  });
}
