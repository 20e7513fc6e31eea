"""An edit that replaces the values of some of a denoiser's parameters."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from diffusers import DiffusionPipeline
from torch import Tensor

from ..errors import UsageError
from ..models.layers import count_parameters
from ..models.lock import held
from ..models.pipelines import get_denoiser


@dataclass(frozen=True, eq=False)
class WeightEdit:
    """New values for some parameters.

    Attributes:
        weights: the new values by qualified parameter name.
    """

    weights: dict[str, Tensor]

    @contextmanager
    def applied(self, pipe: DiffusionPipeline) -> Iterator[DiffusionPipeline]:
        """Writes the new values within a `with` block, and restores the old ones at its end, bit for bit.

        Raises:
            ValueError: if the denoiser lacks a parameter of the edit, or its shape differs. The denoiser then stays
                unchanged.
        """
        self.check(pipe)
        denoiser = get_denoiser(pipe)
        with held(denoiser):
            parameters = denoiser.state_dict()  # shares the parameters' memory, and has the buffers too
            before = {name: parameters[name].data.clone() for name in self.weights}
            try:
                write(parameters, self.weights)
                yield pipe
            finally:
                write(parameters, before)

    def check(self, pipe: DiffusionPipeline) -> None:
        """Raises ValueError if the denoiser lacks a parameter of the edit, or its shape differs."""
        check_shapes(pipe, {name: tuple(weight.shape) for name, weight in self.weights.items()})

    def changed_percent(self, pipe: DiffusionPipeline) -> float:
        """Returns how many parameters the edit changes, in percent of the denoiser's."""
        denoiser = get_denoiser(pipe)
        parameters = dict(denoiser.named_parameters())
        changed = sum(
            count_changed(parameters[name], weight) for name, weight in self.weights.items() if name in parameters
        )
        return 100 * changed / count_parameters(denoiser)


def check_shapes(pipe: DiffusionPipeline, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raises ValueError unless the pipeline's denoiser has parameters of these names and shapes."""
    parameters = get_denoiser(pipe).state_dict()
    for name, shape in shapes.items():
        theirs = tuple(parameters[name].shape) if name in parameters else "missing"
        if theirs != shape:
            raise UsageError(
                f"The edit is for another model: {name} is {shape} in it, {theirs} in the model. Give an edit of "
                "this model."
            )


def count_changed(parameter: Tensor, value: Tensor) -> int:
    """Returns how many entries differ between a parameter and a value of its shape, in the parameter's type."""
    return int((parameter.detach() != value.to(parameter.device, parameter.dtype)).sum())


def write(parameters: dict[str, Tensor], values: dict[str, Tensor]) -> None:
    """Copies values into parameters, in place. The parameters keep their device and type."""
    for name, value in values.items():
        parameters[name].copy_(value)
    torch.clear_autocast_cache()  # or an autocast around this keeps the copies that it cast before
