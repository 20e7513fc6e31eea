// The form: what to forget and to keep, how to find it, and what to generate. It survives a reload of the tab.

import { post } from "./api.js";
import { Chips } from "./chips.js";
import { byId, clearError, make, showErrors } from "./dom.js";

const FINDING = ["spatial_ratio", "prompts_per_concept"];
const DRAWING = ["pictures_each", "first_seed", "num_inference_steps"];
const FIELDS = { pictures_each: "pictures" }; // the server's name of a field, where it differs from the id

const number = (id) => (byId(id).value === "" ? null : Number(byId(id).value));

export class Form {
  // Calls `changed` whenever anything in the form changes.
  constructor(models, changed) {
    this.models = models;
    this.changed = changed;
    this.promptsEdited = false;
    this.concepts = new Chips("concept", "concepts", () => this.change(true));
    this.keep = new Chips("keep", "keep", () => this.change(true));
    byId("model").replaceChildren(...models.map(({ name }) => new Option(name, name)));
    byId("model").addEventListener("change", () => {
      this.chooseModel();
      for (const field of ["concepts", "keep", "model"]) clearError(field);
      this.change(true);
    });
    byId("edit").addEventListener("change", () => {
      for (const field of ["edit", "keep"]) clearError(field);
      this.change();
    });
    byId("prompts").addEventListener("input", () => {
      this.promptsEdited = byId("prompts").value.trim() !== "";
      clearError("prompts");
      clearError("pictures");
      this.change();
    });
    for (const id of [...FINDING, ...DRAWING]) {
      byId(id).addEventListener("input", () => {
        clearError(FIELDS[id] ?? id);
        this.change();
      });
      byId(id).addEventListener("change", () => this.check([id], false));
    }
    this.chooseModel();
  }

  // Notes a change. If names changed, asks the server whether it knows them, and for prompts that show them.
  change(names = false) {
    this.save();
    this.changed();
    if (names) this.suggest();
  }

  chooseModel() {
    const model = this.models.find(({ name }) => name === byId("model").value);
    const ratio = model.spatial_ratio; // null: the server takes what is recommended for the concepts
    byId("spatial_ratio").value = ratio === null ? "" : Number((100 * ratio).toPrecision(4));
    byId("prompts_per_concept").value = model.prompts_per_concept ?? "";
    byId("num_inference_steps").value = model.num_inference_steps;
    this.concepts.known = this.keep.known = model.known;
    const names = Object.values(model.known).flat();
    byId("known").replaceChildren(...names.map((name) => make("option", { value: name })));
    byId("known-list").hidden = !names.length;
    const lists = Object.entries(model.known).map(([kind, own]) => [
      make("dt", { text: kind }),
      make("dd", { text: own.join(", ") }),
    ]);
    byId("known-text").replaceChildren(...lists.flat());
  }

  get examples() {
    return this.models.find(({ name }) => name === byId("model").value).examples;
  }

  // Shows an error beside a name that nobody knows. Fills in prompts for the names, unless the person wrote some.
  // Replies may overtake each other; the reply to the last question counts.
  async suggest() {
    const suggestion = (this.suggestion = (this.suggestion ?? 0) + 1);
    const names = { model: byId("model").value, concepts: this.concepts.items, keep: this.keep.items };
    let prompts = [];
    if (names.concepts.length || names.keep.length) {
      try {
        prompts = await post("/api/suggestions", names);
      } catch (error) {
        if (suggestion === this.suggestion) showErrors((error.errors ?? []).filter(({ field }) => field), false);
        return;
      }
    }
    if (suggestion !== this.suggestion || this.promptsEdited) return;
    byId("prompts").value = names.concepts.length ? prompts.join("\n") : "";
    this.save();
    this.changed();
  }

  // Shows an error beside each number that is out of range. Returns whether there is none.
  check(ids, focus = true) {
    const errors = ids
      .map((id) => ({ field: FIELDS[id] ?? id, message: problemOf(byId(id)) }))
      .filter(({ message }) => message);
    if (errors.length) showErrors(errors, focus);
    return !errors.length;
  }

  // What to find, as the server takes it; null if a number is out of range.
  finding() {
    return this.check(FINDING) ? this.whatToFind() : null;
  }

  // What to generate, as the server takes it; null if a number is out of range.
  drawing() {
    return this.check(DRAWING) ? this.whatToDraw() : null;
  }

  whatToFind() {
    const ratio = number("spatial_ratio");
    return {
      model: byId("model").value,
      concepts: this.concepts.items,
      keep: this.keep.items,
      edit: byId("edit").value,
      spatial_ratio: ratio === null ? null : ratio / 100,
      prompts_per_concept: number("prompts_per_concept"),
    };
  }

  whatToDraw() {
    return {
      prompts: byId("prompts").value.split("\n"),
      pictures: number("pictures_each"),
      first_seed: number("first_seed"),
      num_inference_steps: number("num_inference_steps"),
    };
  }

  // Adds names that were typed, but not added yet.
  take() {
    this.concepts.take();
    this.keep.take();
  }

  fill({ concepts, keep }) {
    this.concepts.replace(concepts);
    this.keep.replace(keep);
    this.promptsEdited = false;
    this.change();
    return this.suggest();
  }

  save() {
    const form = { ...this.whatToFind(), ...this.whatToDraw(), promptsEdited: this.promptsEdited };
    sessionStorage.setItem("form", JSON.stringify(form));
  }

  // Fills in what the tab held before it was reloaded.
  restore() {
    const form = JSON.parse(sessionStorage.getItem("form"));
    if (!this.models.some(({ name }) => name === form?.model)) return;
    byId("model").value = form.model;
    this.chooseModel();
    this.concepts.replace(form.concepts);
    this.keep.replace(form.keep);
    byId("edit").value = form.edit;
    byId("spatial_ratio").value = form.spatial_ratio === null ? "" : Number((100 * form.spatial_ratio).toPrecision(6));
    byId("prompts_per_concept").value = form.prompts_per_concept ?? "";
    byId("prompts").value = form.prompts.join("\n");
    byId("pictures_each").value = form.pictures ?? "";
    for (const id of ["first_seed", "num_inference_steps"]) byId(id).value = form[id] ?? "";
    this.promptsEdited = form.promptsEdited;
  }
}

// Says what is wrong with a number, or returns an empty text.
export function problemOf(input) {
  const isWhole = input.step === "1";
  const { badInput, valueMissing, rangeUnderflow, rangeOverflow, stepMismatch } = input.validity;
  if (!(badInput || valueMissing || rangeUnderflow || rangeOverflow || stepMismatch)) return "";
  return `Give a ${isWhole ? "whole " : ""}number from ${input.min} to ${input.max}.`;
}
