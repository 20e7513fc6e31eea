"""Trains one stage of the embedded model. Interrupted training resumes.

A stage is a model and a loss over rendered scenes. All stages share this loop: AdamW with warm-up, a constant learning
rate and a linear decay over the last fifth, bf16 autocast (unless the processor has no instructions for it), an
exponential moving average (EMA) of the weights, and a checkpoint every minute. A stage takes the scenes and the noise
of its step k from `seeded(stage, k)`, so a resumed run continues as if it had not stopped.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from zlib import crc32

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from ..errors import UsageError
from ..files import written_whole
from ..models import half_precision

SECONDS_BETWEEN_CHECKPOINTS = 60
STEPS_BETWEEN_LOSSES = 20


@dataclass(frozen=True)
class Recipe:
    """How one stage is trained. `images` counts all images that it sees; `seed` is the seed of the initial weights."""

    images: int
    batch_size: int
    learning_rate: float
    weight_decay: float = 0.01
    warmup_steps: int = 200
    ema_decay: float = 0.999
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("images", "batch_size", "learning_rate", "warmup_steps"):
            if getattr(self, name) <= 0:
                raise UsageError(f"{name}={getattr(self, name)}; it must be above zero. Give a larger number.")

    @property
    def steps(self) -> int:
        return math.ceil(self.images / self.batch_size)

    def learning_rate_at(self, step: int, start: int = 0) -> float:
        """Returns the learning rate: linear warm-up from `start`, constant, linear to a 20th over the last fifth."""
        decay = min(1.0, max(0.05, (self.steps - step) / (0.2 * self.steps)))
        return self.learning_rate * min(1.0, (step - start + 1) / self.warmup_steps) * decay


def seeded(name: str, number: int) -> torch.Generator:
    """Returns the generator of a stage's step, or of its pool. It is the same in every run."""
    return torch.Generator().manual_seed(crc32(f"{name} {number}".encode()))


def train_stage(
    name: str,
    model: nn.Module,
    loss: Callable[[int], Tensor],
    recipe: Recipe,
    checkpoint: Path,
    basis: Mapping[str, int | str],
    earlier: Sequence[tuple[int, float]] = (),
) -> list[tuple[int, float]]:
    """Trains `model` in place and leaves the averaged (EMA) weights in it.

    Args:
        name: name of the stage, for the progress bar.
        model: the model to train, already on its device.
        loss: computes the loss of the step with a given number.
        recipe: how long and how fast to train.
        checkpoint: the file to resume from and to save to.
        basis: what else decides the weights, such as the length of the stages that this one builds on.
        earlier: the losses of the earlier training that the weights in `model` come from, if its optimizer state is
            gone. This training continues after its last step. It is empty if the weights are untrained.

    Returns:
        The loss of every STEPS_BETWEEN_LOSSES-th step: (step, loss), the earlier ones first.

    Raises:
        ValueError: if the checkpoint was trained with another recipe (its length aside) or on another basis, or if the
            recipe is no longer than the earlier training.
    """
    device = next(model.parameters()).device
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay, betas=(0.9, 0.99), fused=True
    )
    average = copy_weights(model)
    fixed = {name: value for name, value in asdict(recipe).items() if name != "images"} | dict(basis)
    losses = list(earlier)
    start = first = losses[-1][0] + STEPS_BETWEEN_LOSSES if losses else 0
    if earlier and recipe.steps <= start:
        raise UsageError(
            f"images={recipe.images} is no more than {name} has already seen ({start * recipe.batch_size}); give more "
            f"(--{name}.images)."
        )
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location=device, weights_only=True)
        if state["recipe"] != fixed:
            raise UsageError(
                f"{checkpoint} was trained with {state['recipe']}, not {fixed}. Only the number of images may change, "
                "and only if no other stage builds on this one. Give a new folder, or delete the checkpoint."
            )
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        average, first, losses = state["average"], state["step"], state["losses"]
    saved = time.monotonic()
    bar = tqdm(
        range(first, recipe.steps), initial=min(first, recipe.steps), total=recipe.steps, desc=name, mininterval=5
    )
    is_slow = half_precision.is_slow(device, torch.bfloat16)
    for step in bar:
        model.train()
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate_at(step, start)
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=not is_slow):
            value = loss(step)
        value.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        update_average(average, model, min(recipe.ema_decay, (1 + step) / (10 + step)))
        if step % STEPS_BETWEEN_LOSSES == 0:
            losses.append((step, value.item()))
            bar.set_postfix(loss=f"{losses[-1][1]:.4f}")
        if time.monotonic() - saved > SECONDS_BETWEEN_CHECKPOINTS or step + 1 == recipe.steps:
            state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "recipe": fixed}
            with written_whole(checkpoint) as partial:
                torch.save(state | {"average": average, "losses": losses, "step": step + 1}, partial)
            saved = time.monotonic()
    model.load_state_dict(average)
    model.eval()
    return losses


def copy_weights(model: nn.Module) -> dict[str, Tensor]:
    """Returns a copy of a model's weights."""
    return {key: value.detach().clone() for key, value in model.state_dict().items()}


@torch.no_grad()
def inherit(model: nn.Module, earlier: nn.Module, rows: Mapping[str, int], known: Mapping[str, int]) -> None:
    """Copies the weights of an earlier model that knows fewer names into a model, in place.

    Args:
        model: the model. Its weights for names that the earlier one does not know stay as they are.
        earlier: the earlier model, of the same architecture.
        rows: the row of each name (a token, or a label) in those weights of the model that have a row for each.
        known: the same rows in the earlier model.
    """
    shared = [name for name in rows if name in known]
    before = earlier.state_dict()
    for key, value in model.state_dict().items():
        if value.shape == before[key].shape:
            value.copy_(before[key])
        else:
            value[[rows[name] for name in shared]] = before[key][[known[name] for name in shared]]


@torch.no_grad()
def update_average(average: dict[str, Tensor], model: nn.Module, decay: float) -> None:
    """Moves the average towards the model's weights. Whole numbers (counters) are copied."""
    for key, value in model.state_dict().items():
        if value.is_floating_point():
            average[key].lerp_(value, 1 - decay)
        else:
            average[key].copy_(value)
