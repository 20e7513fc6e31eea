"""Fine-tuning: training on pictures of the concept (relearning), or of other things (benign fine-tuning).

Even training on other things brings concepts back (Suriyakumar et al., arXiv 2410.08074). Relearning trains a LoRA with
peft, or every weight of the denoiser; or every weight but those that the edit changed, as a host might who holds them
fixed while others train.
"""

import copy
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from diffusers import StableDiffusionPipeline, UNet2DConditionModel
from diffusers.utils import is_peft_available
from PIL import Image
from torch import Tensor
from tqdm.auto import tqdm

from ..drawing.images import Drawing, Request
from ..edits.weight_edit import WeightEdit
from ..errors import UsageError
from ..methods.text_embeddings import embed
from ..settings import check_at_least_one
from .draw import draw_plain
from .interface import Attack, Case, Group, Learned, Needs, Picture
from .training import Denoising, check_rate, check_trainable, clean_latents, prediction_error

ATTENTIONS = ["to_q", "to_k", "to_v", "to_out.0"]  # the linears that a LoRA adapts


@dataclass(frozen=True)
class FineTuning(Attack):
    """Training of the edited denoiser."""

    group: ClassVar[Group] = "weights"
    needs: ClassVar[Needs] = "weights"

    steps: tuple[int, ...] = (20, 100, 500)
    """numbers of training steps; each is measured"""
    pictures: int = 20
    """pictures to train on"""
    learning_rate: float = 1e-4
    """rate of AdamW"""
    batch_size: int = 4
    """pictures of a step"""

    def __post_init__(self) -> None:
        check_at_least_one(self, "pictures", "batch_size")
        if not self.steps or min(self.steps) < 1:
            raise UsageError(f"steps={self.steps} of {self.title}; give numbers of steps, at least 1.")
        check_rate(self.title, self.learning_rate)

    @property
    def variants(self) -> tuple[str, ...]:
        return tuple(f"{steps} steps" for steps in self.steps)

    @property
    def number_of_pictures(self) -> int:
        return self.pictures

    def check(self, pipe: StableDiffusionPipeline, drawing: Drawing) -> None:
        """Raises TypeError if the model is not in float32."""
        check_trainable(pipe)

    @abstractmethod
    def train(self, case: Case, steps: int) -> UNet2DConditionModel:
        """Returns a trained copy of the edited denoiser."""

    def learn(self, case: Case, variant: str) -> Learned:
        """Returns the weights that training changed."""
        trained = self.train(case, self.steps[self.variants.index(variant)]).state_dict()
        return {
            name: trained[name].detach()
            for name, weight in case.victim.unet.named_parameters()
            if not torch.equal(trained[name], weight)
        }

    def draw(self, case: Case, requests: Sequence[Request], learned: Learned, variant: str) -> list[Image.Image]:
        """Draws with the trained weights."""
        with WeightEdit(learned).applied(case.victim) as trained:
            return draw_plain(trained, requests, case.drawing)

    def fit(
        self,
        case: Case,
        denoiser: UNet2DConditionModel,
        pictures: Sequence[Picture],
        steps: int,
        after_step: Callable[[], None] = lambda: None,
    ) -> None:
        """Trains the parameters of a denoiser that want a gradient.

        Args:
            case: the case.
            denoiser: the denoiser, which is changed in place.
            pictures: what to train on.
            steps: number of steps.
            after_step: called after each step.
        """
        generator = torch.Generator().manual_seed(case.seed)
        pictures = pictures[: self.pictures]
        latents = clean_latents(case.original, [picture.image for picture in pictures])
        texts = embed(case.victim, [picture.prompt for picture in pictures])
        wanted = [parameter for parameter in denoiser.parameters() if parameter.requires_grad]
        optimizer, denoising = torch.optim.AdamW(wanted, lr=self.learning_rate), Denoising(case.victim)
        for _ in tqdm(range(steps), self.title, unit="step", delay=2, leave=False):
            rows = torch.randint(len(latents), (self.batch_size,), generator=generator).to(latents.device)
            timesteps = denoising.random_timesteps(len(rows), generator)
            noisy, target = denoising.noisy(latents[rows], generator, timesteps)
            optimizer.zero_grad()
            prediction_error(denoiser, noisy, timesteps, texts[rows], target).backward()
            optimizer.step()
            after_step()


@dataclass(frozen=True)
class RelearnLora(FineTuning):
    """A LoRA of the attentions, trained on pictures of the concept."""

    title: ClassVar[str] = "relearned, LoRA"
    paper: ClassVar[str] = "Hu et al., LoRA, arXiv 2106.09685, by peft"

    rank: int = 8
    """rank of the LoRA"""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least_one(self, "rank")

    def check(self, pipe: StableDiffusionPipeline, drawing: Drawing) -> None:
        """Raises ValueError if peft is not installed, and TypeError if the model is not in float32."""
        super().check(pipe, drawing)
        if not is_peft_available():
            raise UsageError('Relearning by a LoRA needs peft: pip install "forget-it-all[lora]".')

    def train(self, case: Case, steps: int) -> UNet2DConditionModel:
        """Returns the denoiser with the LoRA fused into its weights."""
        from peft import LoraConfig

        denoiser = copy.deepcopy(case.victim.unet).requires_grad_(False)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(case.seed)  # peft draws the LoRA's first values
            denoiser.add_adapter(LoraConfig(r=self.rank, lora_alpha=self.rank, target_modules=ATTENTIONS))
        self.fit(case, denoiser, case.pictures, steps)
        denoiser.fuse_lora()
        denoiser.unload_lora()
        return denoiser


@dataclass(frozen=True)
class Relearn(FineTuning):
    """Every weight of the denoiser, trained on pictures of the concept."""

    title: ClassVar[str] = "relearned, all weights"
    paper: ClassVar[str] = "none; fine-tuning"

    learning_rate: float = 1e-5
    """rate of AdamW"""

    def train(self, case: Case, steps: int) -> UNet2DConditionModel:
        """Returns the trained denoiser."""
        denoiser = copy.deepcopy(case.victim.unet).requires_grad_(True)
        self.fit(case, denoiser, case.pictures, steps)
        return denoiser


@dataclass(frozen=True)
class RelearnHeld(Relearn):
    """Every weight but those that the edit changed, trained on pictures of the concept."""

    title: ClassVar[str] = "relearned, the edit held fixed"
    paper: ClassVar[str] = "none; fine-tuning by a trainer who holds the edited weights"

    def train(self, case: Case, steps: int) -> UNet2DConditionModel:
        """Returns the trained denoiser, with the edit's weights as they were."""
        denoiser = copy.deepcopy(case.victim.unet).requires_grad_(True)
        originals, parameters = case.original.unet.state_dict(), dict(denoiser.named_parameters())
        held: dict[str, tuple[Tensor, Tensor]] = {}
        for name, weight in parameters.items():
            is_edited = weight.detach() != originals[name].to(weight)
            if is_edited.any():
                held[name] = is_edited, weight.detach()[is_edited].clone()

        @torch.no_grad()
        def hold() -> None:
            for name, (is_edited, values) in held.items():
                parameters[name][is_edited] = values

        self.fit(case, denoiser, case.pictures, steps, hold)
        return denoiser


@dataclass(frozen=True)
class Benign(FineTuning):
    """Every weight of the denoiser, trained on pictures of other things."""

    title: ClassVar[str] = "benign fine-tuning"
    paper: ClassVar[str] = "Suriyakumar et al., arXiv 2410.08074"

    learning_rate: float = 1e-5
    """rate of AdamW"""

    @property
    def number_of_pictures(self) -> int:
        return 0

    @property
    def number_of_others(self) -> int:
        return self.pictures

    def train(self, case: Case, steps: int) -> UNet2DConditionModel:
        """Returns the trained denoiser."""
        denoiser = copy.deepcopy(case.victim.unet).requires_grad_(True)
        self.fit(case, denoiser, case.others, steps)
        return denoiser
