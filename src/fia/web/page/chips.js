// A list of names. The person types them, sees them as chips, and can remove them.

import { byId, clearError, make, say } from "./dom.js";

export class Chips {
  // Takes the id of the text field, and the name of the field in the form. Calls `changed` whenever the list changes.
  constructor(id, field, changed) {
    this.items = [];
    this.known = {};
    this.isGuessed = false; // whether the page chose the kind
    this.changed = changed;
    this.field = field;
    this.input = byId(id);
    this.kind = byId(`${id}-kind`);
    this.list = byId(`${id}-chips`);
    byId(`${id}-add`).addEventListener("click", () => this.take());
    this.input.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && this.input.value.trim()) {
        event.preventDefault();
        this.take();
      } else if (event.key === "Backspace" && !this.input.value && this.items.length) {
        this.remove(this.items.at(-1));
      }
    });
    this.input.addEventListener("input", () => {
      const text = this.input.value;
      this.guessKind(text);
      if (!text.includes(",")) return;
      const rest = text.slice(text.lastIndexOf(",") + 1);
      this.input.value = text.slice(0, text.lastIndexOf(","));
      this.take();
      this.input.value = rest.trimStart();
    });
  }

  // Adds the names in the field to the list.
  take() {
    const names = this.input.value.split(",").map((name) => name.trim()).filter(Boolean);
    for (const name of names) {
      if (names.length > 1) this.guessKind(name);
      this.add({ name: this.spelling(name) ?? name, kind: this.kind.value });
    }
    this.input.value = "";
    if (this.isGuessed) this.kind.value = "object";
    this.isGuessed = false;
    if (names.length) this.change();
  }

  add(item) {
    if (this.items.some((other) => other.name.toLowerCase() === item.name.toLowerCase())) {
      say(`${item.name} is in the list already.`);
      return;
    }
    this.items.push(item);
    this.show();
    say(`${item.name} added.`);
  }

  remove(item) {
    const index = this.items.indexOf(item);
    this.items.splice(index, 1);
    this.show();
    const buttons = this.list.querySelectorAll("button");
    (buttons[Math.min(index, buttons.length - 1)] ?? this.input).focus();
    say(`${item.name} removed.`);
    this.change();
  }

  change() {
    clearError(this.field);
    this.changed();
  }

  replace(items) {
    this.items = items.map(({ name, kind }) => ({ name, kind }));
    this.show();
  }

  // Returns how the model spells a name, if it knows it.
  spelling(name) {
    const names = Object.values(this.known).flat();
    return names.find((other) => other.toLowerCase() === name.toLowerCase());
  }

  // Chooses the kind of a name if the model knows it.
  guessKind(text) {
    const name = this.spelling(text.trim());
    const kind = Object.keys(this.known).find((kind) => this.known[kind].includes(name));
    if (!kind) return;
    this.kind.value = kind;
    this.isGuessed = true;
  }

  show() {
    this.list.replaceChildren(
      ...this.items.map((item) => {
        const button = make("button", { type: "button", "aria-label": `Remove ${item.name}`, text: "×" });
        button.addEventListener("click", () => this.remove(item));
        const kind = item.kind === "object" ? [] : [make("small", { text: item.kind })];
        return make("li", {}, make("span", { text: item.name }), ...kind, button);
      }),
    );
  }
}
