"""`fia layers`: lists the layers of a model that can be masked. It needs only the configs."""

import json
import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

from torch import nn

from ..errors import UnsupportedError, UsageError
from ..loading import outline_denoiser
from ..models.families import family_of, is_known
from ..models.layers import MaskableLayer, count_parameters, find_layers, patterns_in
from ..settings import Sites
from .arguments import Json, Model


@dataclass
class Layers:
    """Lists the layers of a model that can be masked.

    It reads only the configs and downloads no weights. A single-file checkpoint has no configs.

    Examples:
      fia layers testbed
      fia layers black-forest-labs/FLUX.1-dev
      fia layers ./my-model --layers "*.ff.net.0.proj" --json
      fia layers ./my-model --layers "*.ff.net.2,*.attn.to_add_out"
    """

    model: Model
    sites: Sites = "both"
    """The places to list: the second linear of every feed-forward, the output of every attention to the text, or
    both."""
    layers: str | None = None
    """Patterns of the names of the layers to list, separated by commas, instead of those of the sites. "*" lists all
    linears, even of an unknown architecture."""
    json: Json = False

    def run(self) -> None:
        denoiser = outline_denoiser(self.model)
        layers = find_layers(denoiser, self.layers, self.sites)
        if not is_known(denoiser) and self.layers is None:
            raise UnsupportedError(
                f"{self.model} denoises with {type(denoiser).__name__}, an unknown architecture (docs/families.md). "
                'Choose layers by hand, here and for fia forget. --layers "*" lists all linears.'
            )
        for pattern in [] if self.layers is None else patterns_in(self.layers):
            if not find_layers(denoiser, pattern):
                raise UsageError(
                    f'--layers {pattern!r} matches no linear of {self.model}; --layers "*" lists all of them.'
                )
        if not layers:
            raise UsageError(
                f'{self.model} has no layer of the sites {self.sites!r}; --layers "*" lists all of its linears.'
            )
        print(json.dumps(as_json(denoiser, layers), indent=2) if self.json else as_text(denoiser, layers))


def as_json(denoiser: nn.Module, layers: dict[str, MaskableLayer]) -> dict[str, Any]:
    """Returns the facts about a denoiser and each of its layers, for JSON."""
    family = family_of(denoiser)
    return {
        "denoiser": type(denoiser).__name__,
        "family": family.name,
        "guidance": family.guidance,
        "parameters": count_parameters(denoiser),
        "layers": {
            name: {"outputs": layer.out_features, "inputs": layer.in_features, "first_input": layer.first_input}
            for name, layer in layers.items()
        },
    }


def as_text(denoiser: nn.Module, layers: dict[str, MaskableLayer]) -> str:
    """Returns a table. Layers with equal shapes whose names differ only in numbers share a line."""
    groups: Counter[tuple[str, str]] = Counter()
    for name, layer in layers.items():
        shape = f"{layer.out_features} x {layer.in_features}"
        shape += f" (of {layer.first_input + layer.in_features})" if layer.first_input else ""
        groups[re.sub(r"\.\d+\.", ".*.", name), shape] += 1
    family, total = family_of(denoiser), count_parameters(denoiser)
    weights = sum(layer.size for layer in layers.values())
    return "\n".join(
        [
            f"{type(denoiser).__name__}: {family.name}; guidance: {family.guidance}",
            "",
            f"{'layers':>7}  {'outputs x inputs':<26}  name",
            *(f"{number:>7}  {shape:<26}  {name}" for (name, shape), number in groups.items()),
            "",
            f"{len(layers)} layers, {weights:,} weights: {weights / total:.1%} of {total:,} parameters",
        ]
    )
