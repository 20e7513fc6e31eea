"""Regenerates the whole test-bed: the stages in order, and the folders that ship.

`out/model` is a diffusers folder (StableDiffusionPipeline), `out/clip` the CLIP whose text tower it uses, and
`out/classifier` the judge; all in safetensors, float16 but for the text encoder. Where a transformer is trained in
place of the U-Net, `out/dit` is a diffusers folder (PixArtAlphaPipeline) without what it shares with `out/model`.
`out/checkpoints` lets an interrupted run, or a longer one, continue; `curves.json`, beside the model or in the
transformer's folder, has the losses of each stage.
"""

from dataclasses import dataclass, field
from itertools import pairwise

from ..errors import UsageError
from .pretrained import Architecture
from .stage import Recipe

# After its first training, stage by stage: the earlier ones whose weights' mean each goes on from.
REFINEMENTS = {"longer": ("denoiser",), "slower": ("denoiser",), "merged": ("longer", "slower"), "last": ("merged",)}


@dataclass(frozen=True)
class TrainingRecipe:
    """How long each part of the test-bed is trained (in images) and how."""

    autoencoder: Recipe = field(default=Recipe(images=50_000, batch_size=16, learning_rate=2e-3, weight_decay=0.0))
    """pixels to latents and back"""
    clip: Recipe = field(default=Recipe(images=160_000, batch_size=128, learning_rate=1e-3))
    """the CLIP whose text tower becomes the text encoder"""
    denoiser: Recipe = field(default=Recipe(images=650_000, batch_size=128, learning_rate=1e-3, weight_decay=0.1))
    """the denoiser; its longer training follows, for a U-Net, in stages whose images count from the first one on"""
    longer: Recipe = field(default=Recipe(images=1_500_000, batch_size=128, learning_rate=1e-3, weight_decay=0.1))
    """from what the denoiser's first training gave"""
    slower: Recipe = field(default=Recipe(images=2_050_000, batch_size=128, learning_rate=4e-4, weight_decay=0.1))
    """from the same, on other scenes"""
    merged: Recipe = field(default=Recipe(images=2_600_000, batch_size=128, learning_rate=3e-4, weight_decay=0.1))
    """from the mean of the weights of these two"""
    last: Recipe = field(default=Recipe(images=3_458_560, batch_size=128, learning_rate=4e-4, weight_decay=0.1))
    """from there"""
    classifier: Recipe = field(default=Recipe(images=250_000, batch_size=64, learning_rate=2e-3, weight_decay=0.05))
    """the judge of subjects, places, styles and the attribute"""
    architecture: Architecture = "unet"
    """what the denoiser is: Stable Diffusion's U-Net; or, on the other parts of a finished test-bed, a diffusion
    transformer as PixArt's"""
    refine: bool = True
    """whether the U-Net's longer training follows, which takes most of the time"""
    further: bool = False
    """go on with the finished denoiser of --parts; denoiser.images counts what it has seen too, in batches of the
    same size"""
    compile: bool = True
    """compile the denoiser while it is trained, which needs a C++ compiler"""

    def __post_init__(self) -> None:
        for earlier, later in pairwise(("denoiser", *REFINEMENTS) if self.refines else ()):
            images, before = (getattr(self, name).images for name in (later, earlier))
            if images <= before:
                raise UsageError(
                    f"{later}.images={images} counts from the first on and must be above {earlier}.images={before}; "
                    "raise it, or give refine=False (--no-refine) for the first training alone."
                )

    @property
    def refines(self) -> bool:
        """Whether the stages of REFINEMENTS follow the denoiser's first training."""
        return self.refine and self.architecture == "unet" and not self.further
