"""Draws the figures of docs/how-it-works.md: what Eq. 1-8 do in the embedded model, in one layer and in all layers."""

import argparse
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from draw_figures import STYLE
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from settings_bench import DOCS
from torch import Tensor

from fia import Concept, NeuronMask, Settings, find, load_testbed
from fia.bench.demo import FORGOTTEN
from fia.drawing.figure import QUIET
from fia.finding.collect import run_group
from fia.finding.neurons import TemporalIntegral, active_connections, select_neurons, share
from fia.finding.observe import Observer
from fia.finding.plan import plan_finding
from fia.finding.progress import Progress
from fia.finding.saliency import connection_saliency, contrastive_saliency
from fia.finding.sums import Moments
from fia.masks.fusion import count_claims
from fia.models.layers import maskable_layers

RATIO = 0.05
SETTINGS = Settings(edit="zero", spatial_ratio=RATIO, agnostic_ratio=0.8, prompts_per_concept=8)
CONCEPT, LAYER, STEP = "church", "mid_block.attentions.0.transformer_blocks.0.ff.net.2", 5
ROWS, COLUMNS = 24, 40  # numbers of outputs and inputs that the figure shows
PLACES = {  # position of a block in the network -> start of its layers' names
    "down, 8 x 8": "down_blocks.0",
    "down, 4 x 4": "down_blocks.1",
    "middle, 4 x 4": "mid_block",
    "up, 4 x 4": "up_blocks.0",
    "up, 8 x 8": "up_blocks.1",
}
CLAIMS = ("#9ecae1", "#4a90c4", "#1f5a94", "#0b2f5c")  # one concept, two, three, four
SPARED, UNTOUCHED = "#c9a227", "#f2f4f6"
FILTERS = (
    UNTOUCHED,
    "#a8dbb5",
    "#9ecae1",
    "#0b2f5c",
)  # in neither, in the top of the row, in the top of the layer, in both


@dataclass
class Stages:
    """The results of the equations in one layer for one concept. Every tensor is (outputs, inputs)."""

    weight: Tensor
    concept_mean: Tensor
    base_mean: Tensor
    contrast: Tensor
    aggregated: Tensor
    active: Tensor  # (steps, outputs, inputs)
    in_row: Tensor
    in_layer: Tensor
    selected: Tensor


def record(pipe: Any, concept: Concept) -> Tensor:
    """Returns U of Eq. 1 in LAYER: (steps, rows, outputs, inputs). Rows are base prompts, then concept prompts."""
    plan = plan_finding(pipe, concept, SETTINGS)
    rows: list[Tensor] = []
    with (
        Observer(
            {LAYER: plan.layers[LAYER]}, connection_saliency, lambda _name, _rows, values: rows.extend(values)
        ) as observer,
        Progress(plan.steps_of_group, shown=False) as steps,
    ):
        run_group(plan, plan.pairs, observer, SETTINGS.batch_size, steps)
    steps_and_rows: Tensor = torch.stack(rows).unflatten(0, (SETTINGS.saliency_steps, -1))
    return steps_and_rows


def stages(pipe: Any, concept: Concept) -> Stages:
    """Computes the equations one by one, with the functions of the method itself."""
    saliency, half = record(pipe, concept), SETTINGS.prompts_per_concept
    integral, contrasts, active = TemporalIntegral((saliency.shape[-2], saliency.shape[-1])), [], []
    for step in saliency:
        base = Moments()
        base.add(step[:half].clone())
        contrasts.append(contrastive_saliency(step[half:].mean(dim=0), base.mean_plus_std()))
        active.append(active_connections(contrasts[-1], SETTINGS.temporal_ratio))
        integral.add(contrasts[-1].clone(), SETTINGS.temporal_ratio)
    aggregated = integral.aggregate()
    outputs, inputs = aggregated.shape
    in_row, in_layer, selected = (torch.zeros(outputs, inputs, dtype=torch.bool) for _ in range(3))
    in_row.scatter_(1, aggregated.topk(share(RATIO, inputs), dim=1).indices, True)
    in_layer.view(-1)[aggregated.flatten().topk(share(RATIO, outputs * inputs)).indices] = True
    selected.view(-1)[select_neurons(aggregated, RATIO).long()] = True
    return Stages(
        maskable_layers(pipe.unet)[LAYER].weight.detach().abs(),
        saliency[STEP - 1, half:].mean(dim=0),
        saliency[STEP - 1, :half].mean(dim=0),
        contrasts[STEP - 1],
        aggregated,
        torch.stack(active),
        in_row,
        in_layer,
        selected,
    )


def claims_of(mask: NeuronMask, layer: str) -> np.ndarray:
    """Returns how many concepts claim each connection of a layer (Eq. 7): (outputs, inputs)."""
    outputs, inputs = mask.shapes[layer]
    counts = count_claims([layers[layer] for layers in mask.neurons.values()])
    return np.pad(counts, (0, outputs * inputs - len(counts))).reshape(outputs, inputs)


def draw_steps(found: Stages, mask: NeuronMask) -> None:
    """Draws a part of the layer after each equation. It has outputs and inputs with many neurons and with fewer."""
    ranked = found.selected.sum(dim=1).argsort(descending=True)
    rows = ranked[:: len(ranked) // ROWS][:ROWS].sort().values
    columns = found.selected.sum(dim=0).topk(4 * COLUMNS).indices[::4].sort().values
    crop = np.ix_(rows.numpy(), columns.numpy())
    figure, axes = plt.subplots(2, 4, figsize=(11, 5.8), layout="constrained")
    brightest = float(np.quantile(found.concept_mean.numpy()[crop], 0.99))
    for axis, title, values, most in (
        (axes[0, 0], "|W|: the weights", found.weight, None),
        (axes[0, 1], f"Eq. 1: U, prompts with a {CONCEPT}", found.concept_mean, brightest),
        (axes[0, 2], "Eq. 1: U, the same without", found.base_mean, brightest),
        (axes[0, 3], "Eq. 2: S, how much more with it", found.contrast, None),
        (axes[1, 0], "Eq. 3: A, over ten steps", found.aggregated, None),
    ):
        shown = values.numpy()[crop]
        _panel(axis, title).imshow(shown, cmap="Blues", vmin=0, vmax=most or np.quantile(shown, 0.99), aspect="auto")
    kinds = found.in_row.int() + 2 * found.in_layer.int()
    names = ("neither", "row", "layer", "both")
    _classes(axes[1, 1], "Eq. 4-6: Q, the two filters", kinds.numpy()[crop], dict(zip(names, FILTERS, strict=True)))
    claims = claims_of(mask, LAYER)
    numbers = ("none", *(f"{n}" for n in range(1, len(mask.concepts) + 1)))
    colours = dict(zip(numbers, (UNTOUCHED, *CLAIMS, "#000000"), strict=True))
    _classes(axes[1, 2], f"Eq. 7: s, claims of {len(mask.concepts)} concepts", claims[crop], colours)
    fate = np.where(claims == 0, 0, np.where(claims < mask.agnostic_threshold, 1, 2))
    _classes(axes[1, 3], "Eq. 8: the mask", fate[crop], {"untouched": UNTOUCHED, "pruned": "#c0392b", "spared": SPARED})
    axes[0, 0].set_ylabel(f"{ROWS} outputs")
    axes[1, 0].set_ylabel(f"{ROWS} outputs")
    axes[1, 0].set_xlabel(f"{COLUMNS} inputs")
    figure.savefig(DOCS / "method-steps.png", dpi=110)


def _panel(axis: Axes, title: str) -> Axes:
    axis.set_title(title, fontsize=10, loc="left")
    axis.set(xticks=[], yticks=[])
    axis.grid(False)
    return axis


def _classes(axis: Axes, title: str, values: np.ndarray, colours: dict[str, str]) -> None:
    """Draws integers, each in a colour with a name."""
    _panel(axis, title)
    axis.imshow(values, cmap=ListedColormap(list(colours.values())), vmin=-0.5, vmax=len(colours) - 0.5, aspect="auto")
    handles = [plt.Rectangle((0, 0), 1, 1, color=colour) for colour in colours.values()]
    legend: Any = {"loc": "upper center", "bbox_to_anchor": (0.5, 0), "handlelength": 0.8, "handletextpad": 0.4}
    axis.legend(handles, list(colours), ncols=len(colours), fontsize=7.5, columnspacing=0.8, **legend)


def draw_where(mask: NeuronMask) -> None:
    """Plots the claimed share of every layer, by the number of concepts, in the order of the network."""
    figure, axis = plt.subplots(figsize=(10, 3.8), layout="constrained")
    x, ticks = 0.0, {}
    for place, prefix in PLACES.items():
        layers = [name for name in mask.shapes if name.startswith(prefix)]
        ticks[x + (len(layers) - 1) / 2] = place
        for name in layers:
            shares = 100 * np.bincount(claims_of(mask, name).ravel(), minlength=6)[1:] / np.prod(mask.shapes[name])
            bottom = 0.0
            for number, height in enumerate(shares, start=1):
                colour = CLAIMS[number - 1] if number < mask.agnostic_threshold else SPARED
                label = f"{number}" if number < mask.agnostic_threshold else f"{number} or more: spared"
                label = label if x == 0 and number <= mask.agnostic_threshold else ""
                axis.bar(x, height, bottom=bottom, color=colour, width=0.8, label=label)
                bottom += height
            x += 1
        x += 0.8
    axis.set_xticks(list(ticks), list(ticks.values()))
    axis.tick_params(length=0)
    axis.grid(False, axis="x")
    axis.set_ylabel("connections claimed, % of the layer")
    axis.set_title(f"by how many of {len(mask.concepts)} objects", loc="left", fontsize=10, color=QUIET)
    axis.legend(loc="upper left", ncols=5, fontsize=9)
    axis.set_ylim(0, 1.18 * axis.get_ylim()[1])
    figure.savefig(DOCS / "method-where.png", dpi=110)


def draw_time(found: Stages) -> None:
    """Plots when connections are active: some neurons step by step, and all neurons against the other connections."""
    steps = len(found.active)
    frequency = found.active.sum(dim=0)
    neurons = found.selected.flatten().nonzero().squeeze(1)
    some = neurons[torch.linspace(0, len(neurons) - 1, 60).long()]
    some = some[frequency.flatten()[some].argsort(descending=True)]
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained", width_ratios=(1, 1.3))
    _panel(left, f"60 neurons of {CONCEPT}: active (dark) or not").imshow(
        found.active.flatten(1)[:, some].T.numpy(), cmap=ListedColormap(["#eef1f4", CLAIMS[2]]), aspect="auto"
    )
    left.set_xticks(range(steps), range(1, steps + 1))
    left.set_xlabel("denoising step")
    for offset, label, which, colour in (
        (-0.2, "neurons", found.selected, CLAIMS[2]),
        (0.2, "all other connections of the layer", ~found.selected, "#c4cad1"),
    ):
        shares = 100 * np.bincount(frequency[which].int().numpy(), minlength=steps + 1) / int(which.sum())
        right.bar(np.arange(steps + 1) + offset, shares, width=0.4, color=colour, label=label)
    right.set_xticks(range(steps + 1))
    right.set_xlabel(f"steps active, of {steps}")
    right.set_ylabel("% of them")
    right.legend()
    figure.savefig(DOCS / "method-time.png", dpi=110)


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    plt.rcParams.update(STYLE | {"axes.axisbelow": True})
    pipe = load_testbed()
    found = stages(pipe, Concept(CONCEPT))
    mask = find(pipe, FORGOTTEN, SETTINGS)
    own = mask.neurons[CONCEPT][LAYER]
    if not torch.equal(found.selected.flatten().nonzero().squeeze(1).int(), own):
        raise SystemExit(
            f"The figures have {int(found.selected.sum())} neurons, but the mask has {len(own)}: they must be the same."
        )
    draw_steps(found, mask)
    draw_where(mask)
    draw_time(found)
