// The settings of the person, kept in this browser.

const NAME = "glyphline-settings";
const DEFAULTS = {
  language: "auto", // of the text in pictures
  target: "", // language to translate to; "" for none
  voice: "auto", // of the service, "auto", or "device"
  speed: 1,
  say: false, // the text as soon as it is read
  large: false,
  keep: true, // a history
};

export const settings = { ...DEFAULTS, ...read() };

function read() {
  try {
    return JSON.parse(localStorage.getItem(NAME) ?? "{}");
  } catch {
    return {};
  }
}

export function change(values) {
  Object.assign(settings, values);
  localStorage.setItem(NAME, JSON.stringify(settings));
  document.documentElement.classList.toggle("large", settings.large);
}
