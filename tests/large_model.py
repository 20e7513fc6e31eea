"""A model of the large world that was trained for two steps. It knows nothing, but has every part."""

from pathlib import Path

import pytest
import torch

from fia.testbed.recipe import TrainingRecipe
from fia.testbed.stage import Recipe
from fia.testbed.train import train_testbed

TINY = Recipe(images=8, batch_size=4, learning_rate=1e-4, warmup_steps=1)
RECIPE = TrainingRecipe(TINY, TINY, TINY, classifier=TINY, world="large", compile=False)


@pytest.fixture(scope="session")
def large_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the folder of the model."""
    folder = tmp_path_factory.mktemp("large")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fia.testbed.denoiser.POOL_SIZE", 128)
        train_testbed(folder, RECIPE, torch.device("cpu"))
    return folder
