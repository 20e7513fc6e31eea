// What the judge says: one sentence, and how often it sees each thing that the prompts ask for.

import { byId, make } from "./dom.js";

const SHOULD = { forgotten: "should go", kept: "named to keep", rest: "should stay" };
const STATES = { before: "Before", after: "After", random: "Random mask" };

export function showVerdict(verdict) {
  byId("verdict").textContent = verdict?.sentence;
  byId("verdict").hidden = !verdict?.sentence;
  byId("kept").hidden = !verdict?.rows.length;
  if (!verdict?.rows.length) return;
  const states = Object.keys(STATES).filter((state) => state in verdict.rows[0].seen);
  const titles = ["Name", "", ...states.map((state) => STATES[state])];
  const head = make("tr", {}, ...titles.map((text) => make(text ? "th" : "td", { scope: text && "col", text })));
  const rows = verdict.rows.map(({ name, group, images, seen }) => {
    const counts = states.map((state) => make("td", { text: `${seen[state]} of ${images}` }));
    const should = make("td", { class: group === "forgotten" ? "gone" : "kept", text: SHOULD[group] });
    return make("tr", {}, make("th", { scope: "row", text: name }), should, ...counts);
  });
  byId("counts").replaceChildren(make("thead", {}, head), make("tbody", {}, ...rows));
}
