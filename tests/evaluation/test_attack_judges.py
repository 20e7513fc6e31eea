"""The judges of the evaluation, as attacks use them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline
from PIL import Image

from fia import Concept, FIAError, attack
from fia.attacks.detector import StyleDetector
from fia.attacks.run import Extent
from fia.drawing.images import Drawing
from fia.edits.weight_edit import WeightEdit
from fia.evaluation.build import Sources
from fia.evaluation.clip_score import ClipScorer
from fia.testbed.pretrained import FOLDER

FEW = {"extent": Extent(2, seed=1), "drawing": Drawing(11, 1.0)}


def test_clip_sees_a_style_that_is_nearest() -> None:
    detector = StyleDetector(ClipScorer(str(FOLDER / "clip")), Concept("Lumenza", "style"))
    images = [Image.fromarray(np.random.default_rng(i).integers(0, 256, (64, 64, 3), dtype=np.uint8)) for i in (0, 1)]
    with torch.no_grad():
        found = torch.nn.functional.normalize(detector.clip.images(images), dim=1)
    detector.texts[0] = found[0]
    assert detector.sees(images)[0]
    detector.texts[0] = -found[1]
    assert not detector.sees(images)[1]


def test_a_judge_per_kind(classifier: Path, pipe: StableDiffusionPipeline, tmp_path: Path) -> None:
    """On a model of one's own, the classifier must know the objects, before anything is drawn."""
    sources = Sources(classifier=str(classifier), clip=str(FOLDER / "clip"))
    edit = WeightEdit({"conv_out.bias": torch.ones(4)})
    with pytest.raises(FIAError, match="The classifier has no class named 'dragon'"):
        attack(pipe, edit, "dragon", out=tmp_path, sources=sources, **FEW)
    both = ["church", Concept("Van Gogh", "style")]
    with pytest.raises(FIAError, match=r"sees '(church|Van Gogh)' in \d of 2 images"):  # random weights draw neither
        attack(pipe, edit, both, out=tmp_path, sources=sources, **FEW)
