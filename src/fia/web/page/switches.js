// Which of the found concepts are forgotten, and how strongly.

import { byId, make } from "./dom.js";

export class Switches {
  // Calls `changed` when the person switches a concept on or off, or changes its strength.
  constructor(changed) {
    this.changed = changed;
    this.boxes = new Map();
    this.sliders = new Map();
  }

  // Shows the concepts. Without strengths, all of them are on at full strength.
  show(concepts, strengths = null) {
    this.boxes.clear();
    this.sliders.clear();
    byId("switches").replaceChildren(...concepts.map(({ name }) => this.toggle(name, strengths)));
    byId("strengths").replaceChildren(...concepts.map(({ name }, i) => this.slider(name, strengths, i)));
  }

  toggle(name, strengths) {
    const box = make("input", { type: "checkbox", role: "switch" });
    box.checked = strengths === null || name in strengths;
    box.addEventListener("change", () => this.changed());
    this.boxes.set(name, box);
    return make("li", {}, make("label", { class: "switch" }, box, ` ${name}`));
  }

  slider(name, strengths, i) {
    const id = `strength-${i}`;
    const slider = make("input", { id, type: "range", min: 10, max: 100, step: 10 });
    slider.value = 100 * (strengths?.[name] ?? 1);
    const value = make("output", { for: id, text: `${slider.value} %` });
    slider.addEventListener("input", () => (value.textContent = `${slider.value} %`));
    slider.addEventListener("change", () => this.changed());
    this.sliders.set(name, slider);
    return make("li", {}, make("label", { for: id, text: name }), slider, value);
  }

  // Returns the strengths, in (0, 1], of the concepts that are on.
  strengths() {
    const on = [...this.boxes].filter(([, box]) => box.checked).map(([name]) => name);
    return Object.fromEntries(on.map((name) => [name, Number(this.sliders.get(name).value) / 100]));
  }
}
