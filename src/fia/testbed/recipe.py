"""The recipe of the whole embedded model: the stages in order.

Training writes these folders. `out/model` is a diffusers folder (StableDiffusionPipeline), `out/clip` is the CLIP with
the text tower that the model uses, and `out/classifier` is the judge. All weights are safetensors in float16, except
the text encoder's. If a transformer is trained in place of the U-Net, `out/dit` (PixArtAlphaPipeline) or `out/mmdit`
(StableDiffusion3Pipeline) is a diffusers folder without the parts that it shares with `out/model`. `out/checkpoints`
lets an interrupted run, or a longer one, continue. `curves.json`, beside the model or in the transformer's folder, has
the losses of each stage.
"""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

from ..concepts import Concept
from ..errors import UsageError
from .catalogue import Catalogue
from .large import LARGE
from .pretrained import Architecture
from .stage import Recipe
from .world import SMALL, check_known

# The stages after the denoiser's first training. Each starts from the mean of the weights of these earlier stages.
REFINEMENTS = {"longer": ("denoiser",), "slower": ("denoiser",), "merged": ("longer", "slower"), "last": ("merged",)}


@dataclass(frozen=True)
class TrainingRecipe:
    """How long (in images) and how each part of the embedded model is trained."""

    autoencoder: Recipe = field(default=Recipe(images=50_000, batch_size=16, learning_rate=2e-3, weight_decay=0.0))
    """pixels to latents and back"""
    clip: Recipe = field(default=Recipe(images=160_000, batch_size=128, learning_rate=1e-3))
    """the CLIP whose text tower becomes the text encoder"""
    denoiser: Recipe = field(default=Recipe(images=650_000, batch_size=128, learning_rate=1e-3, weight_decay=0.1))
    """the denoiser; for a U-Net, longer training follows in more stages, and their images count from this stage on"""
    longer: Recipe = field(default=Recipe(images=1_500_000, batch_size=128, learning_rate=1e-3, weight_decay=0.1))
    """from the weights of the denoiser's first training"""
    slower: Recipe = field(default=Recipe(images=2_050_000, batch_size=128, learning_rate=4e-4, weight_decay=0.1))
    """from the same weights, on other scenes"""
    merged: Recipe = field(default=Recipe(images=2_600_000, batch_size=128, learning_rate=3e-4, weight_decay=0.1))
    """from the mean of the weights of these two"""
    last: Recipe = field(default=Recipe(images=3_458_560, batch_size=128, learning_rate=4e-4, weight_decay=0.1))
    """from the weights of the merged stage"""
    classifier: Recipe = field(default=Recipe(images=250_000, batch_size=64, learning_rate=2e-3, weight_decay=0.05))
    """the judge of subjects, places, styles and the attribute"""
    architecture: Architecture = "unet"
    """the architecture of the denoiser: Stable Diffusion's U-Net, or a diffusion transformer, as in PixArt (dit) or as
    in Stable Diffusion 3 (mmdit), which uses the other parts of a finished embedded model"""
    refine: bool = True
    """whether the U-Net's longer training follows; it takes most of the time"""
    further: bool = False
    """continue to train the finished denoiser of --parts; denoiser.images then includes the images that it has seen,
    in batches of the same size"""
    compile: bool = True
    """compile the denoiser for training; this needs a C++ compiler"""

    world: Literal["small", "large"] = "small"
    """what the model learns: the package's world, or one with 120 objects and scenes with two subjects. The large one
    goes on from --parts (by default the package's)"""
    without: tuple[str, ...] = ()
    """subjects that the denoiser never sees, such as: church "golf ball"; the other parts see them"""

    def __post_init__(self) -> None:
        if self.world == "large" and self.architecture != "unet":
            raise UsageError(
                f"architecture={self.architecture!r} does not learn the large world; leave it out, or world='large'."
            )
        known = self.catalogue.subject_names
        check_known([Concept(name) for name in self.without], known)
        if len(set(self.without)) == len(known):
            raise UsageError("without names every subject that the embedded model knows; leave some of them in.")
        for earlier, later in pairwise(("denoiser", *REFINEMENTS) if self.refines else ()):
            images, before = (getattr(self, name).images for name in (later, earlier))
            if images <= before:
                raise UsageError(
                    f"{later}.images={images} counts from the first stage on and must be above "
                    f"{earlier}.images={before}; raise it, or give refine=False (--no-refine) to run only the first "
                    "training."
                )

    @property
    def refines(self) -> bool:
        """Whether the stages of REFINEMENTS follow the denoiser's first training."""
        return self.refine and self.architecture == "unet" and self.world == "small" and not self.further

    @property
    def catalogue(self) -> Catalogue:
        """What the model learns."""
        return LARGE if self.world == "large" else SMALL
