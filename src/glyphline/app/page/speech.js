// Says lines: with the voices of the service and the times of their words, or with the voices of this device.

import { settings } from "./settings.js";

const START_SECONDS = 3; // after which a voice of the device that has not begun is given up

export class Speaker {
  /** onWord(line, word): what is being said, numbers or null. onEnd(): all is said, or it was stopped. */
  constructor(reader, onWord, onEnd) {
    [this.reader, this.onWord, this.onEnd] = [reader, onWord, onEnd];
    this.audio = new Audio();
    this.turn = 0; // of the last call of play or stop
    this.serverSpeaks = true;
  }

  get playing() {
    return this.turn % 2 === 1;
  }

  /** Say items in order: [{line, words: [{text, word}], language}]. Rejects with an Error where there is no voice. */
  async play(items) {
    this.stop();
    const turn = (this.turn += 1);
    try {
      let next = this.#prepare(items[0]);
      for (let k = 0; k < items.length && this.turn === turn; k++) {
        const speech = await next;
        next = this.#prepare(items[k + 1]);
        if (this.turn !== turn) break;
        this.onWord(items[k].line, null);
        await (speech ? this.#playAudio(items[k], speech, turn) : this.#playDevice(items[k], turn));
      }
    } finally {
      if (this.turn === turn) this.stop();
    }
  }

  stop() {
    if (!this.playing) return;
    this.turn += 1;
    this.audio.pause();
    window.speechSynthesis?.cancel();
    this.finish?.();
    this.onWord(null, null);
    this.onEnd();
  }

  /** The speech of the service for an item, null where the device has to speak. */
  async #prepare(item) {
    if (!item || settings.voice === "device" || !this.serverSpeaks) return null;
    try {
      return await this.reader.speak(text(item), item.language, { speed: settings.speed, voice: settings.voice });
    } catch (error) {
      if (error.kind === "missing") this.serverSpeaks = false;
      return null;
    }
  }

  async #playAudio(item, speech, turn) {
    this.audio.src = URL.createObjectURL(speech.audio);
    try {
      await new Promise((resolve, reject) => {
        this.finish = resolve;
        this.audio.onended = resolve;
        this.audio.onerror = () => reject(new Error("The speech could not be played."));
        const follow = () => {
          if (this.turn !== turn || this.audio.ended) return;
          const at = speech.words.findLastIndex((word) => word.start <= this.audio.currentTime);
          if (at >= 0) this.onWord(item.line, wordAt(item, at, speech.words));
          requestAnimationFrame(follow);
        };
        this.audio.play().then(follow, reject);
      });
    } finally {
      URL.revokeObjectURL(this.audio.src);
    }
  }

  #playDevice(item, turn) {
    const none = () => new Error("No voice on this machine or device can say this text.");
    if (!window.speechSynthesis) return Promise.reject(none());
    return new Promise((resolve, reject) => {
      const utterance = new SpeechSynthesisUtterance(text(item));
      utterance.lang = item.language;
      utterance.rate = settings.speed;
      const timer = setTimeout(() => reject(none()), START_SECONDS * 1000);
      this.finish = () => { clearTimeout(timer); resolve(); };
      utterance.onstart = () => clearTimeout(timer);
      utterance.onboundary = (event) => {
        if (this.turn !== turn || event.name === "sentence") return;
        const before = text(item).slice(0, event.charIndex).split(" ").length - 1;
        this.onWord(item.line, item.words[before]?.word ?? null);
      };
      utterance.onend = this.finish;
      utterance.onerror = () => { clearTimeout(timer); if (this.turn === turn) reject(none()); else resolve(); };
      window.speechSynthesis.speak(utterance);
    });
  }
}

const text = (item) => item.words.map((word) => word.text).join(" ");

/** The word of the page that is said: the voices may count words otherwise, then the place in the text decides. */
function wordAt(item, at, spoken) {
  if (spoken.length === item.words.length) return item.words[at].word;
  return item.words[Math.min(item.words.length - 1, Math.floor((at / spoken.length) * item.words.length))].word;
}
