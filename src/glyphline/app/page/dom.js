// Finds and makes elements, and says things to the person.

export const $ = (id) => document.getElementById(id);

/** Make an element. attributes: names and values; children: elements and texts. Texts are never markup. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

/** Make an element of SVG. */
export function makeSvg(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

export function icon(name) {
  return makeSvg("svg", { class: "icon", "aria-hidden": "true" }, makeSvg("use", { href: `#i-${name}` }));
}

const MOVED_MILLISECONDS = 100; // after which a screen reader knows a place for messages that was moved
let statusTimer = 0, movedTimer = 0;

/** Show a message, which screen readers say when it is their turn. isShown: false where the page shows it elsewhere. */
export function say(message, isShown = true) {
  $("status").classList.toggle("quiet", !isShown);
  show($("status"), message, 4);
}

/** Show an error, which screen readers say at once. */
export function warn(message) {
  show($("alert"), message, 9);
}

function show(element, message, seconds) {
  for (const timer of [statusTimer, movedTimer]) clearTimeout(timer);
  for (const other of [$("status"), $("alert")]) other.textContent = "";
  // what is outside an open dialog is neither seen clearly nor said
  const place = [...document.querySelectorAll("dialog[open]")].at(-1) ?? document.body;
  const messages = element.parentElement, isMoved = messages.parentElement !== place;
  const tell = () => { element.textContent = message; };
  if (isMoved) {
    place.append(messages);
    movedTimer = setTimeout(tell, MOVED_MILLISECONDS);
  } else tell();
  statusTimer = setTimeout(() => { element.textContent = ""; }, seconds * 1000);
}

const SECTIONS = ["start", "camera", "busy", "result"];

/** Show one section of the page and hide the others. focus: the element that gets the focus. */
export function showSection(name, focus = null) {
  for (const section of SECTIONS) $(section).hidden = section !== name;
  $("dock").hidden = name !== "result";
  document.body.dataset.section = name;
  for (const scrolled of [window, $("main")]) scrolled.scrollTo(0, 0);
  focus?.focus({ preventScroll: true });
}
