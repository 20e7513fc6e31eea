// Helpers for the document.

export const byId = (id) => document.getElementById(id);

// make("td", { class: "x", text: "y" }, child, ...): an element with attributes; `text` is its text.
export function make(tag, attributes = {}, ...children) {
  const svg = ["svg", "g", "rect", "text", "line", "title"].includes(tag);
  const element = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "text") element.textContent = value;
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

export const percent = (value, digits = 1) => `${value.toFixed(digits)} %`;
export const whole = (value) => value.toLocaleString("en");

// Says a text to people who use a screen reader.
export function say(text) {
  byId("spoken").textContent = text;
}

const INPUTS = { concepts: "concept", pictures: "pictures_each" };
const inputOf = (field) => byId(INPUTS[field] ?? field);

// Shows a message above the results that is not an error.
export function notice(text) {
  showErrors([{ field: null, message: text }]);
  byId("problem").classList.add("notice");
}

// Removes the error beside a field.
export function clearError(field) {
  byId(`${field}-error`).hidden = true;
  inputOf(field)?.removeAttribute("aria-invalid");
}

export function clearErrors() {
  for (const place of document.querySelectorAll(".error")) clearError(place.id.replace(/-error$/, ""));
  byId("problem").hidden = true;
  byId("problem").classList.remove("notice");
}

// Shows each error next to its field, or above the results if it has none, and focuses the first field if asked.
export function showErrors(errors, focus = true) {
  let first = null;
  for (const { field, message } of errors) {
    const place = field && byId(`${field}-error`);
    const shown = place || byId("problem");
    shown.textContent = message;
    shown.hidden = false;
    if (!place) shown.scrollIntoView({ block: "nearest" });
    if (!place) continue;
    for (let box = place.closest("details"); box; box = box.parentElement.closest("details")) box.open = true;
    const input = inputOf(field);
    if (!input) continue;
    input.setAttribute("aria-invalid", "true");
    first ??= input;
  }
  if (focus) first?.focus();
  say(errors.map((error) => error.message).join(" "));
}
