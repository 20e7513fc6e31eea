// The table of images: a row for each prompt; columns for before, after and a random mask, with the same seeds.

import { byId, make } from "./dom.js";

const STATES = ["before", "after", "random"];

export class Pictures {
  constructor(session) {
    this.session = session;
    this.table = byId("pictures");
    this.waiting = new Map(); // key of an image that is not generated yet -> its element
  }

  // Lays out the table for the images to come. Old images stay until the new ones come.
  plan(pictures) {
    const old = new Map([...this.table.querySelectorAll("img[src]")].map((image) => [image.dataset.place, image.src]));
    this.waiting.clear();
    const prompts = [...new Set(pictures.map((picture) => picture.prompt))];
    const rows = prompts.map((prompt) => {
      const own = pictures.filter((picture) => picture.prompt === prompt);
      const cells = STATES.map((state) =>
        make("td", { class: state }, ...own.filter((p) => p[state]).map((p) => this.slot(p, state, old))),
      );
      return make("tr", {}, make("th", { scope: "row", text: prompt, "data-prompt": prompt }), ...cells);
    });
    this.table.tBodies[0].replaceChildren(...rows);
    this.table.classList.toggle("with-random", pictures.some((picture) => picture.random));
    const seeds = [...new Set(pictures.map((picture) => picture.seed))];
    const named = seeds.length > 1 ? `seeds ${seeds.slice(0, -1).join(", ")} and ${seeds.at(-1)}` : `seed ${seeds[0]}`;
    byId("compare-note").textContent = `Every column has the same prompts and the same seeds (${named}).`;
  }

  slot(picture, state, shown) {
    const place = `${state} ${picture.seed} ${picture.prompt}`;
    const label = { before: "before", after: "after", random: "under a random mask" }[state];
    const alt = `${picture.prompt}, seed ${picture.seed}, ${label}`;
    const image = make("img", { alt, title: `seed ${picture.seed}`, class: "waiting", "data-place": place });
    const old = shown.get(place);
    if (old) image.src = old;
    this.waiting.set(picture[state], image);
    return make("figure", { class: "slot" }, make("span", {}, image), make("figcaption"));
  }

  // Shows the images that are ready, and below each one what the judge sees.
  ready(seen) {
    for (const [key, words] of Object.entries(seen)) {
      const image = this.waiting.get(key);
      if (!image) continue;
      image.src = this.session.picture(key);
      image.closest("figure").querySelector("figcaption").textContent = words;
      image.classList.remove("waiting");
      this.waiting.delete(key);
    }
  }

  // Removes the images that will not come.
  giveUp() {
    for (const image of this.waiting.values()) {
      image.removeAttribute("src");
      image.classList.remove("waiting");
      image.classList.add("missing");
    }
    this.waiting.clear();
  }

  // Says for each prompt whether its subject should be gone.
  mark(forgotten) {
    for (const heading of this.table.querySelectorAll("th[data-prompt]")) {
      const prompt = heading.dataset.prompt.toLowerCase();
      const gone = forgotten.filter((name) => prompt.includes(name.toLowerCase()));
      const mark = gone.length
        ? make("small", { class: "gone", text: `${gone.join(", ")} should go` })
        : make("small", { class: "kept", text: "should stay" });
      heading.replaceChildren(heading.dataset.prompt, mark);
    }
  }
}
