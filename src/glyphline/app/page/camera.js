// The camera: the rear one first, and when the picture holds still.

import { greyValues, shrink } from "./picture.js";

const STILL = 3.5; // mean change of grey values between two looks below which the camera holds still
const NEW_VIEW = 12; // mean change since the last reading from which there is something new to read
const LOOKS_STILL = 3; // looks in a row
const LOOK_MILLISECONDS = 200;

export const hasCamera = () => Boolean(navigator.mediaDevices?.getUserMedia);

export class Camera {
  /** video: the element that shows what the camera sees. */
  constructor(video) {
    this.video = video;
    this.stream = null;
    this.starts = 0; // how often it was started or stopped
  }

  /**
   * Returns false if it was stopped, or started again, before the person had allowed it. Rejects with a sentence for
   * people where there is no camera or it may not be used.
   */
  async start() {
    this.stop();
    const turn = this.starts;
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({
        video: { facingMode: { ideal: "environment" }, width: { ideal: 1920 }, height: { ideal: 1080 } }, audio: false,
      });
    } catch (error) {
      const refused = error.name === "NotAllowedError";
      throw new Error(refused ? "The camera may not be used. Allow it in the browser's settings for this page." :
        "No camera was found. Choose a picture instead.");
    }
    if (turn !== this.starts) {
      end(stream);
      return false;
    }
    this.stream = this.video.srcObject = stream;
    try {
      await this.video.play();
    } catch {
      if (turn !== this.starts) return false;
      this.stop();
      throw new Error("The camera shows no picture. Choose a picture instead.");
    }
    return turn === this.starts;
  }

  stop() {
    this.starts += 1;
    end(this.stream);
    this.stream = this.video.srcObject = null;
  }

  get running() {
    return this.stream !== null && this.video.videoWidth > 0;
  }

  picture() {
    return shrink(this.video);
  }

  /** Watch the view. onLook: called at each look with "moving" or "still"; onView: when a new view holds still. */
  watch(onLook, onView) {
    let previous = null, read = null, still = 0, busy = false;
    const turn = this.starts;
    const look = async () => {
      if (turn !== this.starts) return;
      if (this.running && !busy && !document.hidden) {
        const { values } = greyValues(this.video, 96);
        still = previous && change(values, previous) < STILL ? still + 1 : 0;
        previous = values;
        onLook(still ? "still" : "moving");
        if (still >= LOOKS_STILL && (!read || change(values, read) > NEW_VIEW)) {
          read = values;
          busy = true;
          await onView().finally(() => { busy = false; });
        }
      }
      setTimeout(look, LOOK_MILLISECONDS);
    };
    look();
  }
}

function end(stream) {
  for (const track of stream?.getTracks() ?? []) track.stop();
}

function change(a, b) {
  if (a.length !== b.length) return 255;
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += Math.abs(a[i] - b[i]);
  return sum / a.length;
}
