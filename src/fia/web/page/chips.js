// The concepts to forget. The person types them, sees them as chips, and can remove them.

import { byId, make, say } from "./dom.js";

export class Chips {
  // Calls `changed` whenever the list changes.
  constructor(changed) {
    this.items = [];
    this.known = {};
    this.isGuessed = false; // whether the page chose the kind
    this.changed = changed;
    this.input = byId("concept");
    this.list = byId("chips");
    byId("add").addEventListener("click", () => this.take());
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
      this.add({ name, kind: byId("kind").value });
    }
    this.input.value = "";
    if (this.isGuessed) byId("kind").value = "object";
    this.isGuessed = false;
    if (names.length) this.changed();
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
    this.changed();
  }

  replace(items) {
    this.items = items.map(({ name, kind }) => ({ name, kind }));
    this.show();
  }

  // Chooses the kind of a name if the model knows it.
  guessKind(text) {
    const name = text.trim().toLowerCase();
    for (const [kind, names] of Object.entries(this.known)) {
      if (!names.some((other) => other.toLowerCase() === name)) continue;
      byId("kind").value = kind;
      this.isGuessed = true;
    }
  }

  offer(known) {
    this.known = known;
    const names = Object.values(known).flat();
    byId("known").replaceChildren(...names.map((name) => make("option", { value: name })));
    byId("known-list").hidden = !names.length;
    byId("known-text").textContent = Object.entries(known)
      .map(([kind, own]) => `${kind}: ${own.join(", ")}`)
      .join("; ");
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
