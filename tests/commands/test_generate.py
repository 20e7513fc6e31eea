"""`fia generate`: guidance, seeds, and images that are saved as they come."""

from pathlib import Path

import pytest
from PIL import Image
from tiny_pipelines import tiny_sd

from fia.cli import main
from fia.commands import generate
from fia.drawing.images import Drawing
from fia.loading import Runtime

GENERATE = ["generate", "testbed", "a church", "a cat", "--seeds", "3", "4", "--batch-size", "2"]


class Drawn:
    """Stands for the drawing of images, and keeps how they were drawn.

    Attributes:
        drawings: one for each batch.
        interrupted_at: the number of the batch during which Ctrl-C is pressed.
    """

    def __init__(self) -> None:
        self.drawings: list[Drawing] = []
        self.interrupted_at: int | None = None

    def __call__(self, _pipe, requests, drawing) -> list[Image.Image]:
        if len(self.drawings) == self.interrupted_at:
            raise KeyboardInterrupt
        self.drawings.append(drawing)
        return [Image.new("RGB", (8, 8), (request.seed, 0, 0)) for request in requests]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Drawn:
    """Draws nothing with a tiny model that goes by the name of the one that was asked for."""

    def load(_runtime: Runtime, model: str):
        pipe = tiny_sd()
        pipe.register_to_config(_name_or_path=model)
        return pipe

    drawn = Drawn()
    monkeypatch.setattr(Runtime, "load", load)
    monkeypatch.setattr(generate, "draw_batch", drawn)
    return drawn


@pytest.mark.parametrize(
    ("model", "given", "expected"),
    [
        ("testbed", [], 4.0),
        ("testbed-dit", [], 4.0),
        ("my-model", [], None),  # the pipeline's own
        ("testbed", ["--guidance-scale", "2.5"], 2.5),
    ],
)
def test_the_guidance_is_the_models_own(model, given, expected, drawn: Drawn, tmp_path: Path) -> None:
    assert main(["generate", model, "a church", "--out", str(tmp_path), *given]) == 0
    assert [drawing.guidance_scale for drawing in drawn.drawings] == [expected]


def test_an_interruption_keeps_what_is_there(drawn: Drawn, tmp_path: Path) -> None:
    drawn.interrupted_at = 1
    assert main([*GENERATE, "--out", str(tmp_path / "images")]) == 130
    files = sorted((tmp_path / "images").iterdir())
    assert [file.name for file in files] == ["prompt0-seed3-before.png", "prompt0-seed4-before.png"]
    with Image.open(files[1]) as image:
        assert image.getpixel((0, 0)) == (4, 0, 0)


def test_an_image_is_replaced_only_by_a_whole_one(tmp_path: Path) -> None:
    class Broken(Image.Image):
        def save(self, file: Path, **_: str) -> None:
            file.write_bytes(b"half")
            raise OSError("disk full")

    (tmp_path / "image.png").write_bytes(b"old")
    with pytest.raises(OSError, match="disk full"):
        generate.save(Broken(), tmp_path / "image.png")
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("image.png", b"old")]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--seeds"], "--seeds has no seed"),
        (["--seeds", str(2**64)], f"--seeds {2**64}: a seed must be between 0 and {2**64 - 1}"),
        (["--batch-size", "0"], "batch_size=0"),
    ],
)
def test_wrong_numbers_are_refused_before_anything_is_loaded(given, message, monkeypatch, tmp_path, capsys) -> None:
    monkeypatch.setattr(Runtime, "load", lambda *_: pytest.fail("the model was loaded"))
    assert main(["generate", "testbed", "a church", "--out", str(tmp_path / "images"), *given]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "images").exists()
