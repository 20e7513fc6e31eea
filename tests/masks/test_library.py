"""A folder of masks of single concepts, and the commands for it."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from fia import Library, NeuronMask
from fia.cli import main
from fia.masks.library import folder_name


@pytest.fixture
def library(mask: NeuronMask, tmp_path: Path) -> Library:
    result = Library(tmp_path / "library")
    result.add(mask)
    return result


def test_composing_everything_gives_the_mask_that_was_added(library, mask):
    assert list(library.masks()) == ["church", "golf ball", "Van Gogh"]
    whole = library.compose()
    assert whole.fingerprint == mask.fingerprint
    assert library.compose(["Van Gogh", "church"]).fingerprint == mask.without("golf ball").fingerprint
    assert library.compose(["church", "church"]).concepts == ("church",)


def test_another_alpha_is_given_or_must_agree(library, mask):
    assert library.compose(agnostic_ratio=0.3).fingerprint == mask.with_agnostic_ratio(0.3).fingerprint
    library.add(mask.only("church").with_agnostic_ratio(0.6), replace=True)
    with pytest.raises(ValueError, match=r"different alphas \(0\.6, 0\.9\); say which one to use"):
        library.compose()
    assert library.compose(agnostic_ratio=0.9).fingerprint == mask.fingerprint


def test_a_concept_is_added_once_unless_replaced(library, mask):
    with pytest.raises(ValueError, match=r"'golf ball' is already in .*library; replace it"):
        library.add(mask.only("golf ball"))
    other = replace(mask.only("golf ball"), neurons={"golf ball": mask.neurons["church"]})
    library.add(other, replace=True)
    assert torch.equal(next(iter(library.compose(["golf ball"]).pruned.values())), next(iter(other.pruned.values())))


def test_a_mask_of_another_model_or_of_nothing_is_refused_and_nothing_written(library, mask):
    before = sorted(library.folder.rglob("*"))
    tench = replace(mask, neurons={"tench": mask.neurons["church"]}, weights_hash="other")
    with pytest.raises(ValueError, match="of different models"):
        library.add(tench)
    with pytest.raises(ValueError, match="holds no concept"):
        library.add(mask.without(*mask.concepts))
    both = replace(mask, neurons={"tench": mask.neurons["church"], "church": mask.neurons["church"]})
    with pytest.raises(ValueError, match="'church' is already in"):
        library.add(both)
    assert sorted(library.folder.rglob("*")) == before


def test_names_that_would_share_a_folder_are_refused(library, mask):
    with pytest.raises(ValueError, match="'Golf-Ball' and 'golf ball' would have the same folder, golf-ball"):
        library.add(replace(mask, neurons={"Golf-Ball": mask.neurons["church"]}))
    assert folder_name("  Café Zoë_2 ") == "café-zoë-2"
    for name in ("..", "/", "_"):
        with pytest.raises(ValueError, match="no letter or digit to name a folder after"):
            folder_name(name)


def test_removing_deletes_one_mask_and_an_unknown_name_deletes_none(library):
    with pytest.raises(
        ValueError, match=r"'tench' is not in .*library; name one that it holds: church, golf ball, Van Gogh"
    ):
        library.remove("church", "tench")
    library.remove("golf ball")
    assert list(library.masks()) == ["church", "Van Gogh"]
    with pytest.raises(ValueError, match="'golf ball' is not in"):
        library.compose(["golf ball"])


def test_a_name_given_twice_is_removed_once(library):
    library.remove("church", "Church", "church")
    assert list(library.masks()) == ["golf ball", "Van Gogh"]


def test_a_folder_of_something_else_keeps_everything_from_being_added(library, mask):
    (library.folder / "tench").mkdir()
    (library.folder / "tench" / "README.md").write_text("mine")
    two = replace(mask, neurons={"cat": mask.neurons["church"], "tench": mask.neurons["church"]})
    with pytest.raises(ValueError, match=r"tench/README\.md does not belong to a mask"):
        library.add(two)
    assert list(library.masks()) == ["church", "golf ball", "Van Gogh"]


def test_an_empty_library_says_how_to_fill_it(tmp_path):
    assert Library(tmp_path / "nothing").masks() == {}
    with pytest.raises(ValueError, match=r"There is no mask in .*; add one first: fia library add"):
        Library(tmp_path / "nothing").compose()


def test_a_mask_put_there_by_hand_is_checked(library, mask):
    mask.save_pretrained(library.folder / "two")
    with pytest.raises(ValueError, match=r"two holds \('church', .*\), not the one concept it is named after"):
        library.masks()


def test_the_commands(mask, tmp_path, capsys):
    folder, library, policy = (str(tmp_path / name) for name in ("mask", "library", "policy"))
    mask.save_pretrained(folder)
    assert main(["library", "add", library, folder]) == 0
    assert main(["library", "remove", library, "church"]) == 0
    assert main(["library", "add", library, folder]) == 2
    assert "replace it (--replace)" in capsys.readouterr().err
    assert main(["library", "list", library]) == 0
    assert "golf ball                   object           1,600     0.9  tiny" in capsys.readouterr().out
    assert main(["library", "list", library, "--json"]) == 0
    assert [row["kind"] for row in json.loads(capsys.readouterr().out)] == ["object", "style"]
    assert main(["library", "list", folder]) == 0
    assert "holds no mask" in capsys.readouterr().out
    assert main(["library", "list", str(tmp_path / "none")]) == 2
    assert "There is no folder" in capsys.readouterr().err
    assert main(["library", "add", library]) == 2
    assert "No mask was given" in capsys.readouterr().err

    assert main(["library", "compose", library, "--out", policy, "--strengths", "golf ball=0.5"]) == 0
    assert "at strength 0.5" in capsys.readouterr().out
    expected = mask.without("church").with_strengths({"golf ball": 0.5})
    assert NeuronMask.from_pretrained(policy).fingerprint == expected.fingerprint
    assert main(["library", "compose", library, "--out", policy, "--strengths", "golf ball"]) == 2
    assert "strength 'golf ball' is not of the form NAME=NUMBER" in capsys.readouterr().err


def test_several_masks_are_added_or_none_of_them(mask, tmp_path, monkeypatch):
    library, original = Library(tmp_path / "library"), Path.write_bytes
    church, rest = mask.only("church"), mask.without("church")

    def full(path, content):
        if "golf-ball" in str(path):
            raise OSError("disk full")
        return original(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="disk full"):
        library.add(church, rest)
    assert not library.masks()
    monkeypatch.undo()
    with pytest.raises(ValueError, match="'church' is already in"):
        library.add(church, mask, replace=True)
    assert not library.masks()
    library.add(church, rest)
    assert library.compose().fingerprint == mask.fingerprint


def test_an_entry_that_is_a_link_is_never_written_through(library, mask, tmp_path):
    outside = tmp_path / "outside"
    (library.folder / "church").rename(outside)
    (library.folder / "church").symlink_to(outside)
    with pytest.raises(ValueError, match="is a link, and a library writes only into its own folder"):
        library.add(mask.only("church"), replace=True)
    library.remove("church")
    assert list(library.masks()) == ["golf ball", "Van Gogh"]
    assert NeuronMask.from_pretrained(outside).concepts == ("church",)


def test_a_composed_mask_replaces_none_unless_told_to_and_never_an_entry(library, capsys):
    out, command = library.folder.parent / "out", ["library", "compose", str(library.folder), "church", "golf ball"]
    assert main([*command, "--out", str(library.folder / "church")]) == 2
    assert "is an entry of the library itself" in capsys.readouterr().err
    assert main([*command, "--out", str(out)]) == 0
    assert main([*command[:-1], "--out", str(out)]) == 2
    assert "holds a mask already; replace it (--replace)" in capsys.readouterr().err
    assert main([*command[:-1], "--out", str(out), "--replace"]) == 0
    assert NeuronMask.from_pretrained(out).concepts == ("church",)


def test_masks_that_share_a_word_are_not_joined(mask):
    chapel = replace(mask.only("church"), neurons={"Chapel": mask.neurons["church"]}, provenance=[])
    found = [{"concepts": [{"name": "church", "kind": "object", "synonyms": ["chapel"]}]}]
    with pytest.raises(ValueError, match="Both masks hold 'church'"):
        replace(mask.only("church"), provenance=found) | chapel
