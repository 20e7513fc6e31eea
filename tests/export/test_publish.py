"""Masks published with evidence and licence."""

import json
from pathlib import Path

import pytest
from huggingface_hub import ModelCard
from PIL import Image
from same_mask import assert_same_mask

from fia import NeuronMask
from fia.cli import main
from fia.export import publish


@pytest.fixture
def evidence(mask, tmp_path):
    """An evaluation of the mask, as `fia evaluate` writes it."""

    def share(percent):
        return {"percent": percent, "interval": [percent / 2, percent], "right": 1, "number": 2}

    states = {"untouched": 90.0, "masked": 10.0, "random mask": 88.0}
    result = {
        "model": {"name": "tiny", "dtype": "float32"},
        "edit": {"mask": list(mask.concepts), "fingerprint": mask.fingerprint},
        "forgotten": [{"name": name} for name in mask.concepts],
        "drawing": {"num_inference_steps": 20},
        "seed": 2000,
        "environment": {"versions": {"fia": "0.1.0"}, "device": "cpu"},
        "tasks": {
            "objects": {
                "images": 30,
                "states": {name: {"still_detected": share(value)} for name, value in states.items()},
                "shown": [{"number": 3, "prompt": "a church: 'old'"}, {"number": 4, "prompt": "lost"}],
            }
        },
    }
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "results.json").write_text(json.dumps(result))
    for state, colour in (("untouched", "red"), ("masked", "blue")):
        (tmp_path / "run" / "runs" / "objects" / state).mkdir(parents=True)
        Image.new("RGB", (8, 8), colour).save(tmp_path / "run" / "runs" / "objects" / state / "00003.png")
    return tmp_path / "run"


def metadata(card):
    """Returns what the Hub reads of a card."""
    return ModelCard(card).data


def test_the_card_holds_evidence_and_licence_and_the_mask_is_the_same(mask, evidence, tmp_path):
    publish.write(mask, tmp_path / "out", evidence, "apache-2.0")
    assert_same_mask(NeuronMask.from_pretrained(tmp_path / "out"), mask)
    card = (tmp_path / "out" / "README.md").read_text()
    data = metadata(card)
    assert (data.license, data.library_name, data.pipeline_tag) == ("apache-2.0", "fia", "text-to-image")
    assert "so that it no longer generates" in card
    assert "| | untouched | masked | random mask |" in card
    assert "| still detected, % | 90.0 (45.0 to 90.0) | 10.0 (5.00 to 10.0) |" in card
    assert "- Van Gogh (style)" in card
    copied = json.loads((tmp_path / "out" / "evidence.json").read_text())
    assert copied == json.loads((evidence / "results.json").read_text())


def test_the_hub_reads_what_was_measured_and_shows_images(mask, evidence, tmp_path):
    publish.write(mask, tmp_path / "out", evidence)
    card = (tmp_path / "out" / "README.md").read_text()
    data = metadata(card)
    (result,) = data.eval_results
    assert (result.metric_type, result.metric_value) == ("still_detected", 10.0)
    assert result.metric_args == {
        "better": "lower",
        "interval": [5.0, 10.0],
        "untouched": 90.0,
        "random mask": 88.0,
    }
    assert "30 images of the task objects" in result.dataset_name
    assert "Without church" in data.model_name
    assert data.widget == [
        {"text": "a church: 'old' (without the mask)", "output": {"url": "evidence/1-without.png"}},
        {"text": "a church: 'old' (with the mask)", "output": {"url": "evidence/1-with.png"}},
    ]
    assert "<Gallery />" in card
    colours = [Image.open(tmp_path / "out" / one["output"]["url"]).getpixel((0, 0)) for one in data.widget]
    assert colours == [(255, 0, 0), (0, 0, 255)]


def test_nothing_explicit_is_shown(mask, evidence, tmp_path):
    result = json.loads((evidence / "results.json").read_text())
    result["forgotten"].append({"name": "naked", "kind": "explicit"})
    (evidence / "results.json").write_text(json.dumps(result))
    publish.write(mask, tmp_path / "out", evidence)
    assert not (tmp_path / "out" / "evidence").exists()
    assert metadata((tmp_path / "out" / "README.md").read_text()).eval_results


def test_images_of_the_users_own_stay(mask, tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "mine.png").write_bytes(b"mine")
    publish.write(mask, tmp_path)
    assert (tmp_path / "images" / "mine.png").read_bytes() == b"mine"


def test_without_evidence_and_licence_the_card_says_so(mask, tmp_path):
    publish.write(mask.with_strengths({"church": 0.5}), tmp_path)
    card = (tmp_path / "README.md").read_text()
    assert "is meant to forget (not measured):" in card
    assert "Not measured: no evidence was given with this mask. Measure what it forgets" in card
    assert "<Gallery />" not in card
    assert "None was stated." in card
    assert "- church (object), at strength 0.5" in card
    absent = {"license", "base_model", "base_model_relation", "model-index", "widget"}
    assert not absent & metadata(card).to_dict().keys()
    assert not (tmp_path / "evidence.json").exists()


def test_the_base_model_is_named_where_the_hub_may_have_it(mask, tmp_path):
    mask.provenance[0]["model"] = "somebody/a-model"
    mask.save_pretrained(tmp_path)
    data = metadata((tmp_path / "README.md").read_text())
    assert (data.base_model, data.base_model_relation) == ("somebody/a-model", "adapter")


def test_evidence_does_not_stay_beside_another_mask(mask, evidence, tmp_path):
    publish.write(mask, tmp_path / "out", evidence)
    publish.write(mask.without("church"), tmp_path / "out")
    assert not (tmp_path / "out" / "evidence.json").exists()
    assert not list((tmp_path / "out" / "evidence").iterdir())


def test_evidence_of_another_mask_is_refused_and_nothing_written(mask, evidence, tmp_path):
    with pytest.raises(ValueError, match="evaluation of another edit, not of this mask"):
        publish.write(mask.without("church"), tmp_path / "out", evidence)
    (tmp_path / "bench").mkdir()
    (tmp_path / "bench" / "results.json").write_text('{"made_with": {}, "tasks": {}}')
    with pytest.raises(ValueError, match="evaluation of another edit, not of this mask"):
        publish.write(mask, tmp_path / "out", tmp_path / "bench")
    with pytest.raises(FileNotFoundError, match="holds no evaluation"):
        publish.write(mask, tmp_path / "out", tmp_path)
    assert not (tmp_path / "out").exists()


class Hub:
    """Stands in for the Hub and remembers what it was asked for."""

    calls: list = []  # noqa: RUF012 (one list for all, emptied by the fixture)

    def __init__(self, **options):
        self.calls.append(("login", options))

    def create_repo(self, repo_id, **options):
        self.calls.append(("create", repo_id, options))

    def upload_folder(self, *, repo_id, folder_path, commit_message, delete_patterns):
        assert delete_patterns == ["evidence.json", "evidence/*"]
        files = {path.relative_to(folder_path).as_posix() for path in Path(folder_path).rglob("*") if path.is_file()}
        self.calls.append(("upload", repo_id, files, commit_message))
        return type("Commit", (), {"repo_url": f"https://hub/{repo_id}"})


@pytest.fixture
def hub(monkeypatch):
    Hub.calls.clear()
    monkeypatch.setattr("fia.masks.hub.HfApi", Hub)
    return Hub.calls


def test_pushing_makes_the_repository_and_uploads_everything(mask, evidence, hub):
    address = publish.push(mask, "somebody/two", evidence, "mit", private=True, token="secret")
    assert address == "https://hub/somebody/two"
    own = {"neurons.safetensors", "config.json", "README.md"}
    files = own | {"evidence.json", "evidence/1-without.png", "evidence/1-with.png"}
    assert hub == [
        ("login", {"token": "secret", "library_name": "fia"}),
        ("create", "somebody/two", {"private": True, "exist_ok": True}),
        ("upload", "somebody/two", files, "Mask without church, golf ball, Van Gogh"),
    ]
    hub.clear()
    assert mask.push_to_hub("somebody/two") == address
    assert hub[2][2] == own


def test_nothing_is_asked_of_the_hub_for_wrong_evidence(mask, evidence, hub):
    with pytest.raises(ValueError, match="another edit, not of this mask"):
        publish.push(mask.only("church"), "somebody/one", evidence)
    assert hub == []


def test_the_command(folder, evidence, tmp_path, hub, capsys):
    assert main(["publish", str(folder)]) == 2
    assert "Say where to publish: --out FOLDER, --repo OWNER/NAME, or both" in capsys.readouterr().err
    out = str(tmp_path / "out")
    options = ["--evidence", str(evidence), "--licence", "mit"]
    assert main(["publish", str(folder), "--out", out, "--repo", "somebody/two", *options]) == 0
    assert capsys.readouterr().out == f"Written to {out}\nhttps://hub/somebody/two\n"
    assert hub[1] == ("create", "somebody/two", {"private": None, "exist_ok": True})


@pytest.mark.parametrize("damage", [{"tasks": None}, {"drawing": []}, {"environment": {}}, {"tasks": {"objects": {}}}])
def test_evidence_that_is_not_whole_is_refused_and_nothing_written(damage, mask, evidence, tmp_path):
    file = evidence / "results.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | damage))
    with pytest.raises(ValueError, match=r"results.json is not a whole evaluation \(.*\)\. Run fia evaluate again"):
        publish.write(mask, tmp_path / "out", evidence)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", [[], {"edit": 5}, "text", {}])
def test_something_else_is_no_evidence(content, mask, evidence, tmp_path):
    (evidence / "results.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match="is the evaluation of another edit"):
        publish.write(mask, tmp_path / "out", evidence)
