"""FIA as a technique of eval-unlearn: by itself, and run by the package where it is installed."""

import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
from tiny_pipelines import tiny_sd

from fia import NeuronMask
from fia.drawing.images import generate_images
from fia.export.eval_unlearn import FIATechnique

GROUP = "eval_unlearn.techniques"
FAST = {"num_inference_steps": 4, "saliency_steps": 2, "prompts_per_concept": 2}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    tiny_sd().save_pretrained(folder)
    return str(folder)


def entry_point() -> EntryPoint:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    return EntryPoint("fia", project["entry-points"][GROUP]["fia"], GROUP)


def test_the_entry_point_is_the_technique() -> None:
    assert entry_point().load() is FIATechnique


def test_it_draws_with_the_mask_from_seeds_that_count_up(pipe, mask: NeuronMask, model: str, folder: Path) -> None:
    technique = FIATechnique(model_id=model, load_path=str(folder), device="cpu", num_inference_steps=2)
    images = technique.generate(prompts=["a church", "a cat"], seed=3)
    with mask.applied(pipe):
        expected = generate_images(pipe, ["a church", "a cat"], [3, 4], num_inference_steps=2)
    assert all(np.array_equal(image, wanted) for image, wanted in zip(images, expected, strict=True))
    again, other = (technique.generate(["a church"]) for _ in range(2))
    assert not np.array_equal(again[0], other[0])


def test_it_finds_what_the_config_names_and_keeps_the_mask(model: str, tmp_path: Path) -> None:
    technique = FIATechnique(
        model_id=model,
        erase_concept="nudity, Van Gogh:style",
        save_path=str(tmp_path / "mask"),
        settings=FAST,
        device="cpu",
    )
    mask = NeuronMask.from_pretrained(tmp_path / "mask")
    assert mask.concepts == ("naked", "sexual", "Van Gogh")
    assert mask.kinds["Van Gogh"] == "style"
    assert mask.is_applied(technique.pipe)


def test_it_needs_a_concept_or_a_mask() -> None:
    with pytest.raises(ValueError, match="give erase_concept, the concepts to forget, or load_path"):
        FIATechnique()


def test_the_package_runs_it(model: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("eval_unlearn")
    from eval_unlearn.registry import entrypoints, register_metric
    from eval_unlearn.runners import SingleBenchmarkRunner
    from eval_unlearn.types import Dataset, MetricResult

    class Brightness:
        """A metric that needs no download: the mean of all pixels."""

        def load_dataset(self) -> list[Dataset]:
            return [Dataset(["a church", "a cat"], {"source": "test"})]

        def update(self, images, prompts, metadata) -> None:
            self.value = float(np.mean([np.asarray(image) for image in images]))

        def compute(self) -> MetricResult:
            return MetricResult("brightness", self.value)

    register_metric("brightness")(Brightness)
    monkeypatch.setattr(entrypoints, "entry_points", lambda group: [entry_point()] if group == GROUP else [])
    config = {"model_id": model, "load_path": str(folder), "device": "cpu", "num_inference_steps": 2}
    runner = SingleBenchmarkRunner("fia", "brightness", config, output_dir=str(tmp_path / "results"), seed=3)
    report = runner.run()
    expected = FIATechnique(**config).generate(["a church", "a cat"], seed=3)
    assert report["metric_result"]["value"] == float(np.mean([np.asarray(image) for image in expected]))
    assert len(list((tmp_path / "results").rglob("*.png"))) == 2
