// Shows what the mask holds: its numbers, the layers of each concept's neurons, and what the concepts share.

import { byId, make, percent, whole } from "./dom.js";

const ROW = 15, LETTER = 6.6, GAP = 20, TOP = 40; // pixels
const NARROWEST = 110, WIDEST = 230; // a column
const DEEPEST = 25; // percent at which a cell has its full colour, or the largest value if that is larger

export function showNumbers(fused, edit) {
  const spared = fused.spared
    ? `claimed by ${fused.threshold} or more concepts`
    : "no connection is claimed by enough concepts";
  const numbers = [
    [edit === "zero" ? "set to zero" : "rewritten", whole(fused.pruned), "connections"],
    ["of the maskable layers", percent(100 * fused.sparsity), "of all their connections"],
    ["of the whole denoiser", percent(100 * fused.denoiser_sparsity, 2), "of all its parameters"],
    ["spared", whole(fused.spared), spared],
  ];
  byId("numbers").replaceChildren(
    ...numbers.map(([name, value, note]) =>
      make("div", {}, make("dt", { text: name }), make("dd", { text: value }), make("dd", { class: "hint", text: note })),
    ),
  );
}

// Shows a bar for each layer, in a column for each concept and one for the mask.
export function showLayers(found, fused, forgotten) {
  const columns = found.concepts.map((concept, i) => ({
    name: concept.name,
    off: !forgotten.includes(concept.name),
    shares: found.layers.map((layer) => layer.shares[i]),
  }));
  columns.push({ name: "changed", mask: true, shares: found.layers.map((layer) => fused.layers[layer.name]) });
  const most = Math.max(0.01, ...columns.flatMap((column) => column.shares));
  const left = 12 + LETTER * Math.max(...found.layers.map((layer) => layer.label.length));
  const room = (byId("layers").clientWidth - left) / columns.length - GAP;
  const bars = Math.max(NARROWEST, Math.min(WIDEST, room));
  const width = left + columns.length * (bars + GAP);
  const height = TOP + found.layers.length * ROW + 4;
  const labels = found.layers.map((layer, i) =>
    make("text", { x: left - 8, y: TOP + i * ROW + 11, "text-anchor": "end", text: layer.label }),
  );
  const groups = columns.map((column, i) => {
    const place = { x: left + i * (bars + GAP), width: bars, height };
    return layerColumn(column, place, most, found.layers);
  });
  const summary = columns.map((column) => {
    const top = found.layers[column.shares.indexOf(Math.max(...column.shares))];
    return `${column.name}: most in ${top.label}, ${percent(Math.max(...column.shares))}`;
  });
  const options = { class: "chart", width, height, viewBox: `0 0 ${width} ${height}`, role: "img" };
  byId("layers").replaceChildren(make("svg", { ...options, "aria-label": summary.join("; ") }, ...labels, ...groups));
}

function layerColumn(column, { x, width, height }, most, layers) {
  const group = make("g", { class: column.mask ? "mask" : column.off ? "off" : "on" });
  const name = column.name.length > 18 ? `${column.name.slice(0, 17)}…` : column.name;
  group.append(
    make("text", { class: "name", x, y: 14, text: name }),
    make("text", { class: "scale", x, y: 30, text: "0" }),
    make("text", { class: "scale", x: x + width, y: 30, "text-anchor": "end", text: percent(most) }),
    make("line", { x1: x, x2: x, y1: TOP - 4, y2: height }),
    make("line", { class: "end", x1: x + width, x2: x + width, y1: TOP - 4, y2: height }),
  );
  column.shares.forEach((share, i) => {
    const bar = make("rect", { x, y: TOP + i * ROW + 2, width: (width * share) / most, height: ROW - 4, rx: 1.5 });
    bar.append(make("title", { text: `${column.name}, ${layers[i].name}: ${percent(share, 2)}` }));
    group.append(bar);
  });
  return group;
}

export function showOverlap(found) {
  const names = found.concepts.map((concept) => concept.name);
  byId("shared").hidden = names.length < 2;
  const most = Math.max(DEEPEST, ...found.overlap.flatMap((row, i) => row.filter((_, j) => i !== j)));
  const head = make("tr", {}, make("td"), ...names.map((name) => make("th", { scope: "col", text: name })));
  const rows = names.map((name, i) => {
    const cells = found.overlap[i].map((value, j) => {
      if (i === j) return make("td", { class: "same", text: "—" });
      const chance = make("small", { text: ` (${found.chance[i][j].toFixed(1)})` });
      const cell = make("td", { text: value.toFixed(1) }, chance);
      cell.style.setProperty("--level", `${Math.round((60 * value) / most)}%`);
      return cell;
    });
    return make("tr", {}, make("th", { scope: "row", text: name }), ...cells);
  });
  byId("overlap").replaceChildren(make("thead", {}, head), make("tbody", {}, ...rows));
}
