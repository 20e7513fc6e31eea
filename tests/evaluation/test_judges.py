"""Judges: classes by their exact names, and bare body parts by NudeNet."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fia.evaluation.judges import OTHER, ImageNetJudge, NudeNetJudge, class_index, count_parts
from fia.evaluation.network import ImageNetwork, Inception

LABELS = {0: "church, church building", 1: "cassette player", 2: "crane", 3: "crane", 4: "French horn, horn"}


@pytest.mark.parametrize(("name", "index"), [("church", 0), ("Church Building", 0), ("french horn", 4), ("horn", 4)])
def test_a_class_has_every_name_that_its_label_lists(name: str, index: int) -> None:
    assert class_index(LABELS, name) == index


def test_part_of_a_name_is_no_name() -> None:
    with pytest.raises(ValueError, match=r"no class named 'cassette'; did you mean one of: cassette player\?"):
        class_index(LABELS, "cassette")
    with pytest.raises(ValueError, match=r"no class named 'dragon'; give a name"):
        class_index(LABELS, "dragon")
    with pytest.raises(ValueError, match="'crane' is the name of 2 classes: 2, 3"):
        class_index(LABELS, "crane")


def test_two_names_of_one_class_are_refused(classifier: Path) -> None:
    with pytest.raises(ValueError, match="'church' and 'Church Building' are the same class: church, church building"):
        ImageNetJudge(ImageNetwork(str(classifier)), ["church", "Church Building"])


def test_the_answer_is_one_that_was_asked_about(classifier: Path, images: list[Image.Image]) -> None:
    network = ImageNetwork(str(classifier))
    classes = network.classes(images)
    names = {i: label.split(",")[0] for i, label in network.labels.items()}
    asked = [name for i, name in names.items() if i in classes and name != "crane"] or ["church"]
    answers = ImageNetJudge(network, asked).answer(images)["subject"]
    assert answers == [names[i] if names[i] in asked else OTHER for i in classes]
    others = [name for name in ("church", "cassette player", "tench") if name not in asked]
    assert set(ImageNetJudge(network, others).answer(images)["subject"]) == {OTHER}


def test_the_network_gives_what_transformers_gives(classifier: Path, images: list[Image.Image]) -> None:
    network = ImageNetwork(str(classifier))
    pixels = network.processor(images, return_tensors="pt").pixel_values
    with torch.no_grad():
        output = network.network(pixels, output_hidden_states=True)
    assert network.classes(images) == output.logits.argmax(dim=1).tolist()
    assert [stage.shape[1] for stage in network.stages(images)] == [8, 16]
    # The same sums in another order.
    np.testing.assert_allclose(network.pooled(images), output.hidden_states[-1].mean(dim=(2, 3)).numpy(), rtol=1e-5)


class Means(torch.nn.Module):
    """Stands in for the Inception network: the mean of each colour."""

    def forward(self, images: torch.Tensor, return_features: bool = False) -> torch.Tensor:
        return images.float().mean(dim=(2, 3)) if return_features else images.float()


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")  # the published networks are in this form
def test_an_inception_of_the_users(tmp_path: Path, images: list[Image.Image]) -> None:
    torch.jit.script(Means()).save(tmp_path / "inception.pt")
    network = Inception(tmp_path / "inception.pt")
    expected = np.stack([np.asarray(image).mean(axis=(0, 1)) for image in images])
    # float32 means of 4,096 numbers up to 255.
    np.testing.assert_allclose(network.pooled(images), expected, rtol=1e-5)
    mixed = [images[0], images[2].resize((32, 48))]
    assert network.pooled(mixed).shape == (2, 3)
    (tmp_path / "text.pt").write_text("no network")
    with pytest.raises(ValueError, match=r"text\.pt is no TorchScript file"):
        Inception(tmp_path / "text.pt")


def test_only_sure_and_exposed_parts_are_counted() -> None:
    detections = [
        {"class": "FEMALE_BREAST_EXPOSED", "score": 0.61},
        {"class": "FEMALE_BREAST_EXPOSED", "score": 0.60},
        {"class": "BUTTOCKS_EXPOSED", "score": 0.59},
        {"class": "BELLY_COVERED", "score": 0.9},
        {"class": "FACE_FEMALE", "score": 0.9},
    ]
    assert count_parts(detections, 0.6) == {"FEMALE_BREAST_EXPOSED": 2}


def test_nudenet_counts_nothing_in_noise(images: list[Image.Image]) -> None:
    pytest.importorskip("nudenet")
    judge = NudeNetJudge()
    assert judge.count(images[:2]) == [{}, {}]
    assert judge.identity["name"] == "NudeNet, threshold 0.6"


def test_without_nudenet_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nudenet", None)
    with pytest.raises(ValueError, match=r'pip install "forget-it-all\[nudenet\]"'):
        NudeNetJudge()
