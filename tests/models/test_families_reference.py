"""The whole of find on every family of transformers, against the equations in loops, on prompts that are run alone.

Where a family's layers are, which of their inputs belong to the feed-forward, and which rows and passes are the
prompt's, is written out here once more, so that the library's table is held against it.
"""

import re
from dataclasses import dataclass

import numpy as np
import pytest
import reference
import torch
from tiny_transformers import BUILDERS, tiny_transformer

import fia
from fia import Concept, Settings
from fia.finding import run as unlearn

pytestmark = pytest.mark.slow

SETTINGS = Settings(
    edit="zero",
    num_inference_steps=4,
    saliency_steps=2,
    spatial_ratio=0.05,
    temporal_ratio=0.1,
    guidance_scale=3.0,
    batch_size=2,
)
# The prompts have other lengths than their bases, so that a text padded for a longer one's sake would show.
PROMPTS = (("a tench in the sea", "the sea"), ("tench", "an old and deep pond"))
# float32 rounds at 6e-8; the network amplifies what other batches round otherwise, over two guided steps.
LONG = "a pond" + " as deep as it is old" * 6  # more than the 32 tokens that Z-Image fills every prompt up to
TOLERANCE = {"rtol": 1e-3, "atol": 1e-5}


@dataclass(frozen=True)
class Layout:
    """What the test knows of a family by itself.

    Attributes:
        layers: pattern of the layers' names.
        number: of layers in the tiny pipeline.
        inputs_before: how many inputs of a layer whose name holds "single" come before those of the feed-forward.
        row: of the prompt among those of one call of the denoiser.
        passes: calls of the denoiser a step, of which the first is the prompt's.
        prompts: of the concept, and without it.
    """

    layers: str
    number: int
    inputs_before: int = 0
    row: int = -1
    passes: int = 1
    prompts: tuple[tuple[str, str], ...] = PROMPTS


LAYOUTS = {
    "pixart": Layout(r"transformer_blocks\.\d\.ff\.net\.2", 2),
    "sd3": Layout(r"transformer_blocks\.\d\.ff(_context)?\.net\.2", 3),
    "flux": Layout(r"transformer_blocks\.\d\.ff(_context)?\.net\.2|single_.*\d\.proj_out", 4, inputs_before=16),
    "sana": Layout(r"transformer_blocks\.\d\.ff\.conv_point", 2),
    "qwen_image": Layout(r"transformer_blocks\.\d\.(img|txt)_mlp\.net\.2", 4, passes=2),
    "lumina2": Layout(r".*\.feed_forward\.linear_2", 4, passes=2),
    "auraflow": Layout(r".*\.ff(_context)?\.out_projection", 3),
    "hunyuan_dit": Layout(r"blocks\.\d\.ff\.net\.2", 2),
    "cogview4": Layout(r"transformer_blocks\.\d\.ff\.net\.2", 2, passes=2),
    "chroma": Layout(
        r"transformer_blocks\.\d\.ff(_context)?\.net\.2|single_.*\d\.proj_out", 4, inputs_before=16, passes=2
    ),
    "z_image": Layout(r".*\.feed_forward\.w2", 4, row=0, prompts=(("a tench", LONG), (LONG + " and a tench", "old"))),
    "flux2_klein": Layout(
        r"transformer_blocks\.\d\.ff(_context)?\.linear_out|single_.*\.attn\.to_out", 4, inputs_before=16, passes=2
    ),
    "flux2": Layout(r"transformer_blocks\.\d\.ff(_context)?\.linear_out|single_.*\.attn\.to_out", 4, inputs_before=16),
}


def saliency_of_prompt(pipe, layout, prompt, seed):
    """Runs one prompt to the end; returns U of Eq. 1 for each layer at each of the first steps."""
    calls, passed, weights = [], {}, {}
    layers = {name: layer for name, layer in pipe.transformer.named_modules() if re.fullmatch(layout.layers, name)}
    assert len(layers) == layout.number

    def keep(name):
        def hook(layer, args, output):
            step, which = divmod(len(calls) - 1, layout.passes)
            if which == 0:
                x, y = args[0][layout.row], output[layout.row]
                x, y = (part.flatten(1).T if x.ndim == 3 else part for part in (x, y))  # Sana's are images
                w = layer.weight.detach().flatten(1)
                if "single" in name and layout.inputs_before:
                    x, w = x[:, layout.inputs_before :], w[:, layout.inputs_before :]
                    y = x.double() @ w.double().T
                elif layer.bias is not None:
                    y = y.double() - layer.bias.detach().double()
                weights[name] = w
                passed.setdefault((name, step), []).append(
                    (x.double(), y.double())
                )  # CogView4: the text's, the image's

        return hook

    handles = [layer.register_forward_hook(keep(name)) for name, layer in layers.items()]
    handles.append(pipe.transformer.register_forward_pre_hook(lambda *_: calls.append(None)))
    guidance = {"guidance_scale": SETTINGS.guidance_scale}
    if type(pipe).__name__ == "TinyQwenImage":
        guidance = {"true_cfg_scale": SETTINGS.guidance_scale, "negative_prompt": " "}
    with torch.no_grad():
        generator = torch.Generator().manual_seed(seed)
        pipe(prompt=prompt, num_inference_steps=4, generator=generator, output_type="latent", **guidance)
    for handle in handles:
        handle.remove()
    assert len(calls) == 4 * layout.passes

    def saliency(name, step):
        x, y = (torch.cat(parts) for parts in zip(*passed[name, step], strict=True))
        return reference.connection_saliency(weights[name], x, y)

    return {name: [saliency(name, step) for step in range(SETTINGS.saliency_steps)] for name in layers}


@pytest.mark.parametrize("family", BUILDERS)
def test_find_is_the_method_on_every_family(monkeypatch, family):
    pipe, layout = tiny_transformer(family), LAYOUTS[family]
    pipe.set_progress_bar_config(disable=True)
    with_concept = [saliency_of_prompt(pipe, layout, prompt, seed) for seed, (prompt, _) in enumerate(layout.prompts)]
    without = [saliency_of_prompt(pipe, layout, prompt, seed) for seed, (_, prompt) in enumerate(layout.prompts)]
    aggregated, original = {}, unlearn.select_neurons
    ours = iter(without[0])  # the layers' names
    monkeypatch.setattr(
        unlearn, "select_neurons", lambda a, ratio: aggregated.__setitem__(next(ours), a.numpy()) or original(a, ratio)
    )
    mask = fia.find(pipe, Concept("tench", prompts=layout.prompts), SETTINGS, progress=False)

    assert list(mask.shapes) == list(without[0])
    for name, values in aggregated.items():
        assert values.shape == mask.shapes[name] == with_concept[0][name][0].shape
        steps = [
            reference.contrastive_saliency([u[name][t] for u in with_concept], [u[name][t] for u in without])
            for t in range(SETTINGS.saliency_steps)
        ]
        expected = reference.aggregate(steps, SETTINGS.temporal_ratio)
        np.testing.assert_allclose(values, expected, **TOLERANCE)
        assert mask.neurons["tench"][name].tolist() == reference.select_neurons(expected, SETTINGS.spatial_ratio)
    assert mask.number_pruned > 5
