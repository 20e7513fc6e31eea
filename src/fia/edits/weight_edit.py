"""An edit that puts other values in the place of some of a denoiser's parameters."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from diffusers import DiffusionPipeline
from torch import Tensor

from ..errors import UsageError
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
        """Puts the new values in place within a `with` block, and the old ones back, bit for bit, when it is left.

        Raises:
            ValueError: if the denoiser has no such parameter, or in another shape. It is then unchanged.
        """
        parameters = get_denoiser(pipe).state_dict()  # shares their memory, and has buffers too
        for name, weight in self.weights.items():
            theirs = tuple(parameters[name].shape) if name in parameters else "missing"
            if theirs != tuple(weight.shape):
                raise UsageError(
                    f"The edit is for another model: {name} is {tuple(weight.shape)} in it, {theirs} in the model."
                )
        before = {name: parameters[name].data.clone() for name in self.weights}
        try:
            write(parameters, self.weights)
            yield pipe
        finally:
            write(parameters, before)


def write(parameters: dict[str, Tensor], values: dict[str, Tensor]) -> None:
    """Copies values into parameters, in place; they keep their device and type."""
    for name, value in values.items():
        parameters[name].copy_(value)
